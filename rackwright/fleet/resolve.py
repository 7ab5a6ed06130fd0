"""What `rackwright lock` does: every open question of the fleet file gets its answer, once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from rackwright.errors import FleetError, Problem
from rackwright.fleet.adapters import CONFIG, CONFIG_LIMIT, choose_adapter, fitting_rank, rank_of
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import AdapterLock, DriverLock, Lock, ModelLock, RuntimeLock, model_digest
from rackwright.fleet.model_files import UnfitFiles, choose
from rackwright.fleet.ports import assign_ports
from rackwright.fleet.runtimes import Runtimes
from rackwright.fleet.sections.models import Model
from rackwright.fleet.shapes import shape_of
from rackwright.fleet.site_files import site_files
from rackwright.fleet.source import HubSource, parse_source
from rackwright.fleet.sources import Sources
from rackwright.fleet.web import Progress, quiet
from rackwright.shape.shape import ModelShape
from rackwright.values import File


def resolve_lock(
    fleet: Fleet,
    previous: Lock | None,
    *,
    drivers: Mapping[str, DriverLock] = MappingProxyType({}),
    upgrade: bool = False,
    on_progress: Progress = quiet,
) -> Lock:
    """Given a fleet and its lock so far, return a lock that answers every question of the fleet file.

    A question that didn't change keeps its answer, a branch its commit, and asks nobody; with `upgrade` all are
    asked again, but for what names its bytes itself (a released version, a URL with its sha256). `drivers` are the
    answers that hosts gave.
    Raise FleetError with every question that has no answer, SecretError without the hub's token, RackwrightError
    where a server can't be asked.
    """
    site_files(fleet)
    resolver = _Resolver(fleet, previous, Sources(fleet, upgrade, on_progress))
    models: dict[str, ModelLock] = {}
    problems: list[Problem] = []
    for name in fleet.file.models:
        try:
            models[name] = resolver.model(name)
        except FleetError as error:
            problems += error.problems
    try:
        runtimes = resolver.runtimes()
    except FleetError as error:
        problems += error.problems
    if problems:
        raise FleetError(problems)
    return Lock(
        fleet=fleet.file.fleet,
        models=models,
        runtimes=runtimes,
        drivers=drivers,
        ports=assign_ports(fleet, previous),
    )


@dataclass(frozen=True)
class _Resolver:
    fleet: Fleet
    previous: Lock | None
    sources: Sources

    def model(self, name: str) -> ModelLock:
        asked, where = self.fleet.file.models[name], f"{self.fleet.path} models.{name}"
        kept = self.previous.models.get(name) if self.previous else None
        source = parse_source(asked.source)
        glob = source.glob if isinstance(source, HubSource) else None
        choice = partial(choose, glob=glob, loads=asked.runtime.loads)
        revision, files = self.sources.settle(asked.source, kept, choice, f"{where}.source")
        return ModelLock(
            source=asked.source,
            revision=revision,
            digest=model_digest(files),
            files=files,
            shape=self._shape(source, files, kept),
            adapters=self._adapters(asked, kept.adapters if kept else {}, f"{where}.runtime.adapters"),
        )

    def _shape(self, source: object, files: tuple[File, ...], kept: ModelLock | None) -> ModelShape | None:
        """That of the lock so far while the files are the same, but where it had none."""
        if kept and kept.shape is not None and kept.digest == model_digest(files):
            return kept.shape
        token = self.sources.hub.token if isinstance(source, HubSource) else None
        return shape_of(files, self.sources.web, token)

    def _adapters(self, asked: Model, kept: Mapping[str, AdapterLock], where: str) -> dict[str, AdapterLock]:
        adapters: dict[str, AdapterLock] = {}
        problems: list[Problem] = []
        for served, source in asked.adapters.items():
            try:
                adapters[served] = adapter = self._adapter(source, kept.get(served), f"{where}.{served}")
                _require_rank(adapter.rank, asked.adapter_rank, f"{where}.{served}")
            except FleetError as error:
                problems += error.problems
        if problems:
            raise FleetError(problems)
        return adapters

    def _adapter(self, source: str, kept: AdapterLock | None, where: str) -> AdapterLock:
        revision, files = self.sources.settle(source, kept, choose_adapter, where)
        digest = model_digest(files)
        rank = kept.rank if kept and kept.digest == digest else self._rank(source, files, where)
        return AdapterLock(source=source, revision=revision, digest=digest, files=files, rank=rank)

    def _rank(self, source: str, files: tuple[File, ...], where: str) -> int:
        (config,) = (file for file in files if file.path == CONFIG)
        try:
            return rank_of(self.sources.content(config, CONFIG_LIMIT, where))
        except UnfitFiles as error:
            raise FleetError([Problem(where, f"{source} {error}", error.should)]) from None

    def runtimes(self) -> dict[str, RuntimeLock]:
        locked: dict[str, RuntimeLock] = {}
        runtimes = Runtimes(self.fleet, lambda: self.sources.web, self.sources.upgrade)
        for name, model in self.fleet.file.models.items():
            runtime, where = model.runtime, f"{self.fleet.path} models.{name}.runtime"
            key = runtime.key
            if key not in locked:
                kept = self.previous.runtimes.get(key) if self.previous else None
                locked[key] = runtimes.settle(runtime, kept, where)
            elif locked[key].build != runtime.build:
                what = f"another build of {runtime.kind} {runtime.version} than another model names"
                raise FleetError([Problem(f"{where}.build", what, "the same build, or another version")])
        return locked


def _require_rank(rank: int, most: int, where: str) -> None:
    if rank > most:
        fitting = fitting_rank(rank)
        should = f"write adapter_rank: {fitting}" if fitting else "an adapter of a rank that vLLM serves"
        raise FleetError([Problem(where, f"has rank {rank}, runtime.adapter_rank is {most}", should)])

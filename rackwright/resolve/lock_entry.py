"""Resolves a single lock entry: a model with its adapters, or the runtimes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from rackwright.errors import FleetError, Problem
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import AdapterLock, Lock, ModelLock, RuntimeLock, model_digest
from rackwright.fleet.sections.models import Model
from rackwright.fleet.source import HubSource, parse_source
from rackwright.resolve.adapters import CONFIG, CONFIG_LIMIT, choose_adapter, fitting_rank, rank_of
from rackwright.resolve.licenses import agreed
from rackwright.resolve.lookup import Sources
from rackwright.resolve.model_files import UnfitFiles, choose
from rackwright.resolve.model_shape import model_facts
from rackwright.resolve.runtime_files import Runtimes
from rackwright.shape.shape import ModelShape
from rackwright.values.file import File


@dataclass(frozen=True)
class Resolver:
    fleet: Fleet
    previous: Lock | None
    """The current lock."""
    sources: Sources

    def model(self, name: str, source: str | None = None) -> ModelLock:
        """Return the model's entry. `source` replaces the fleet file's. Raise FleetError if it can't be resolved."""
        asked, where = self.fleet.file.models[name], f"{self.fleet.path} models.{name}"
        kept = self.previous.models.get(name) if self.previous else None
        text = source or asked.source
        parsed = parse_source(text)
        choice = partial(choose, glob=_glob(parsed), loads=asked.runtime.loads)
        found = self.sources.settle(text, kept, choice, f"{where}.source", said=asked.license)
        shape, template = self._facts(parsed, found.files, kept)
        digest = model_digest(found.files)
        answer = ModelLock(
            source=asked.source,
            revision=found.revision,
            digest=digest,
            files=found.files,
            license=agreed(found.license, asked.license, source=text, where=where),
            shape=shape,
            since=kept.since if kept and kept.digest == digest else datetime.now(UTC).replace(microsecond=0),
            template=template,
            adapters=self._adapters(asked, kept.adapters if kept else {}, f"{where}.runtime.adapters"),
        )
        return _after(kept, answer) if kept else answer

    def _facts(
        self, source: object, files: tuple[File, ...], kept: ModelLock | None
    ) -> tuple[ModelShape | None, str | None]:
        """Return shape and template: the current lock's if it has them and the files are the same; else new ones."""
        shape, template = (kept.shape, kept.template) if kept and kept.digest == model_digest(files) else (None, None)
        if shape is not None and template is not None:
            return shape, template
        token = self.sources.hub.token if isinstance(source, HubSource) else None
        facts = model_facts(self.fleet.located(files), self.sources.web, token)
        return (shape or facts.shape, facts.template) if facts else (shape, None)

    def _adapters(self, asked: Model, kept: Mapping[str, AdapterLock], where: str) -> dict[str, AdapterLock]:
        adapters: dict[str, AdapterLock] = {}
        problems: list[Problem] = []
        for served, source in asked.adapters.items():
            try:
                answer = self._adapter(source, kept.get(served), f"{where}.{served}")
                # An adapter is derived from the model, so it has the model's license unless its own card names one.
                adapters[served] = adapter = answer.model_copy(update={"license": answer.license or asked.license})
                _require_rank(adapter.rank, asked.max_lora_rank, f"{where}.{served}")
            except FleetError as error:
                problems += error.problems
        if problems:
            raise FleetError(problems)
        return adapters

    def _adapter(self, source: str, kept: AdapterLock | None, where: str) -> AdapterLock:
        found = self.sources.settle(source, kept, choose_adapter, where)
        digest = model_digest(found.files)
        return AdapterLock(
            source=source,
            revision=found.revision,
            digest=digest,
            files=found.files,
            license=found.license,
            rank=kept.rank if kept and kept.digest == digest else self._rank(source, found.files, where),
        )

    def _rank(self, source: str, files: tuple[File, ...], where: str) -> int:
        (config,) = (file for file in files if file.path == CONFIG)
        try:
            return rank_of(self.sources.content(config, CONFIG_LIMIT, where))
        except UnfitFiles as error:
            raise FleetError([error.problem(where, source)]) from None

    def runtimes(self, *, reread: Collection[str] = ()) -> dict[str, RuntimeLock]:
        """Return <kind>-<version> → runtime entry. Local builds of the kinds in `reread` are read again.

        Raise FleetError if one can't be resolved.
        """
        locked: dict[str, RuntimeLock] = {}
        runtimes = Runtimes(self.fleet, lambda: self.sources.web)
        for name, model in self.fleet.file.models.items():
            runtime, where = model.runtime, f"{self.fleet.path} models.{name}.runtime"
            key = runtime.key
            if key not in locked:
                kept = self.previous.runtimes.get(key) if self.previous else None
                locked[key] = runtimes.settle(runtime, kept, where, reread=runtime.kind in reread)
            elif locked[key].build != runtime.build:
                what = f"is another build of {runtime.kind} {runtime.version} than another model's"
                raise FleetError([Problem(f"{where}.build", what, "should be the same build, or another version")])
        return locked


def _glob(source: object) -> str | None:
    return source.glob if isinstance(source, HubSource) else None


def _after(kept: ModelLock, answer: ModelLock) -> ModelLock:
    """Return the new entry, with the one for a rollback as its `previous`."""
    previous = kept.previous if kept.digest == answer.digest else kept.alone
    return answer.model_copy(update={"previous": previous})


def _require_rank(rank: int, most: int, where: str) -> None:
    if rank > most:
        fitting = fitting_rank(rank)
        should = (
            f"write max_lora_rank: {fitting}" if fitting else "should be an adapter with a rank that vLLM supports"
        )
        raise FleetError([Problem(where, f"has rank {rank}, but runtime.max_lora_rank is {most}", should)])

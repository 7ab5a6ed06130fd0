"""What `rackwright lock` does: every open question of the fleet file gets its answer, once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from rackwright.errors import FleetError, Problem
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.hub import Hub
from rackwright.fleet.local_files import local_model
from rackwright.fleet.lock import DriverLock, Lock, ModelLock, RuntimeLock, model_digest
from rackwright.fleet.model_files import UnfitFiles, choose
from rackwright.fleet.ports import assign_ports
from rackwright.fleet.runtimes import Runtimes, pinned
from rackwright.fleet.sections.models import Model
from rackwright.fleet.shapes import shape_of
from rackwright.fleet.site_files import route_from_here, site_files
from rackwright.fleet.source import FileSource, HubSource, WebSource, parse_source
from rackwright.fleet.web import Progress, Web, hub_endpoint, quiet
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
    resolver = _Resolver(fleet, previous, upgrade, on_progress)
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
    upgrade: bool
    on_progress: Progress

    @cached_property
    def web(self) -> Web:
        return Web(route_from_here(self.fleet), self.on_progress)

    @cached_property
    def endpoint(self) -> str:
        try:
            return hub_endpoint(self.fleet.file.site.hub)
        except ValueError as error:
            raise FleetError([Problem(f"{self.fleet.path} site.hub", "can't be used", str(error))]) from None

    @cached_property
    def hub(self) -> Hub:
        from rackwright.fleet.secrets import hub_token

        return Hub(self.endpoint, self.web, hub_token(self.fleet))

    def model(self, name: str) -> ModelLock:
        asked = self.fleet.file.models[name]
        source = parse_source(asked.source)
        kept = self.previous.models.get(name) if self.previous else None
        if kept and kept.source == asked.source and (isinstance(source, WebSource) or not self.upgrade):
            return self._with_shape(source, self._rebased(source, kept))
        revision, files = self._answer(source, asked, f"{self.fleet.path} models.{name}.source")
        answer = ModelLock(source=asked.source, revision=revision, digest=model_digest(files), files=files)
        return self._with_shape(source, answer)

    def runtimes(self) -> dict[str, RuntimeLock]:
        locked: dict[str, RuntimeLock] = {}
        runtimes = Runtimes(self.fleet, lambda: self.web, self.upgrade)
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

    def _rebased(self, source: object, kept: ModelLock) -> ModelLock:
        """The same commit and bytes, from the hub that the fleet file names now."""
        if not isinstance(source, HubSource) or kept.revision is None:
            return kept
        hub = Hub(self.endpoint, self.web)
        files = tuple(
            file.model_copy(update={"url": hub.url(source.repository, kept.revision, file.path)})
            for file in kept.files
        )
        return kept.model_copy(update={"files": files})

    def _with_shape(self, source: object, answer: ModelLock) -> ModelLock:
        """The same with its shape, also where an earlier lock had none."""
        if answer.shape is not None:
            return answer
        token = self.hub.token if isinstance(source, HubSource) else None
        return answer.model_copy(update={"shape": shape_of(answer.files, self.web, token)})

    def _answer(
        self, source: HubSource | WebSource | FileSource, asked: Model, where: str
    ) -> tuple[str | None, tuple[File, ...]]:
        loads = asked.runtime.loads
        if isinstance(source, HubSource):
            return self.hub.settle(source, where=where, loads=loads)
        if isinstance(source, FileSource):
            path = self.fleet.at(source.path)
            return None, local_model(path, where=where, loads=loads, on_progress=self.on_progress)
        file = pinned(self.web, source, where)
        try:
            choose({file.path: file.size}, None, loads)
        except UnfitFiles as error:
            raise FleetError([Problem(where, f"{source.url} {error}", error.should)]) from None
        return None, (file,)

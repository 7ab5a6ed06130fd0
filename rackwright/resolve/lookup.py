"""Resolves a source (hf:…, https://… or file:…) to its commit, files and license."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from rackwright.errors import FleetError, Problem
from rackwright.fleet.downloads import route_from_here
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import SourceLock
from rackwright.fleet.sections.licenses import is_allowed
from rackwright.fleet.source import FileSource, HubSource, WebSource, parse_source
from rackwright.resolve.hub import Hub, Settled
from rackwright.resolve.local_files import local_model
from rackwright.resolve.model_files import Choice, UnfitFiles
from rackwright.resolve.runtime_files import pinned
from rackwright.resolve.web import Progress, Web
from rackwright.values.file import File
from rackwright.values.regular_file import open_regular


@dataclass(frozen=True)
class Sources:
    fleet: Fleet
    upgrade: bool
    on_progress: Progress

    @cached_property
    def web(self) -> Web:
        return Web(route_from_here(self.fleet), self.on_progress)

    @cached_property
    def hub(self) -> Hub:
        from rackwright.fleet.secrets import hub_token

        return Hub(self.fleet.file.downloads.hub.rstrip("/"), self.web, hub_token(self.fleet))

    def settle(
        self, text: str, kept: SourceLock | None, choice: Choice, where: str, *, said: str | None = None
    ) -> Settled:
        """Return the resolved source: `kept`, if the source is unchanged. Raise FleetError if no files are suitable.

        `said` is the license in the fleet file. If the license of `kept` differs, or is not allowed, the license is
        looked up again.
        """
        source = parse_source(text)
        if kept and kept.source == text and (isinstance(source, WebSource) or not self.upgrade):
            return Settled(kept.revision, self._rebased(source, kept), self._license(source, kept, said, where))
        if isinstance(source, HubSource):
            return self.hub.settle(source, where=where, choice=choice)
        if isinstance(source, FileSource):
            path = self.fleet.at(source.path)
            return Settled(None, local_model(path, source, where=where, choice=choice, on_progress=self.on_progress))
        file = pinned(self.web, source, where)
        try:
            choice({file.path: file.size})
        except UnfitFiles as error:
            raise FleetError([error.problem(where, source.url)]) from None
        return Settled(None, (file,))

    def content(self, file: File, limit: int, where: str) -> bytes:
        """Return a file's content. Raise FleetError or RackwrightError if it can't be read or exceeds `limit`."""
        if file.local is None:
            return self.web.content(file.url, limit=limit, token=self.hub.token)
        if file.size > limit:
            raise FleetError([Problem(where, f"{file.path} has more than {limit // 2**20} MiB")])
        try:
            with open_regular(self.fleet.at(str(file.local))) as stream:
                return stream.read(limit)
        except OSError as error:
            raise FleetError([Problem(where, f"{file.path} can't be read: {error.strerror}")]) from None

    def _license(self, source: object, kept: SourceLock, said: str | None, where: str) -> str | None:
        if not isinstance(source, HubSource) or kept.revision is None:
            return None
        if kept.license == said if said else is_allowed(kept.license, self.fleet.file.licenses):
            return kept.license
        return self.hub.license(replace(source, revision=kept.revision), where=where)

    def _rebased(self, source: object, kept: SourceLock) -> tuple[File, ...]:
        """Return the same files with URLs of the hub that the fleet file names now."""
        if not isinstance(source, HubSource) or kept.revision is None:
            return kept.files
        hub = self.fleet.file.downloads.hub
        return tuple(
            file.model_copy(update={"url": source.url(hub, kept.revision, file.path)}) for file in kept.files
        )

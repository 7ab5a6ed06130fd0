"""`migrate export`: what is stored at the provider comes into the migration's folder, encrypted; then it is noted."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from rackwright.errors import RackwrightError
from rackwright.lifecycle.migrate.export.fetch_all import THREADS, Exporter
from rackwright.lifecycle.migrate.export.opened import checked, opened
from rackwright.lifecycle.migrate.export.tally import ORDER, Tally
from rackwright.lifecycle.migrate.place import Place
from rackwright.lifecycle.migrate.plan_provider import plan_provider
from rackwright.lifecycle.migrate.provider_client import Limits
from rackwright.lifecycle.migrate.provider_turns import Halt, Turns
from rackwright.migrate.export.export_line import RunLine
from rackwright.migrate.export.export_list import ExportList
from rackwright.migrate.export.export_result import Exported
from rackwright.migrate.export.ids_file import check_ids
from rackwright.stopping import stoppable

LIMITS = Limits(
    pages=100_000, list_seconds=float("inf"), longest_wait=3600.0, large=64 * 2**20, patient=True
)  # fmt: skip
MOST_LIMITED = 12
"""How many pauses after 429 may follow one another: an account without credit answers nothing else."""
MOST_FAILED = 10
"""How many requests in a row may end without an answer."""


@dataclass(frozen=True)
class Asked:
    """What the operator asked for."""

    ids: Path | None = None
    """A file with ids of responses and conversations."""
    compare: bool = False
    accepted: Sequence[str] = ()
    other: bool = False
    """Whether the list that is here is taken, or a new one is started, although the log knows another."""

    def command(self, name: str) -> str:
        """Return the command that goes on with it. By then the log knows the list, so it has no --other."""
        ids = ["--ids", str(self.ids)] if self.ids else []
        accepted = [f"--accept={one}" for one in self.accepted]
        compare = ["--compare"] if self.compare else []
        return shlex.join(["rackwright", "migrate", "export", name, *ids, *compare, *accepted])


def export(place: Place, asked: Asked) -> Exported:
    """Fetch what the export lacks of what the provider stores; note it, and return what was done.

    Raise FleetError, before anything is asked, with each problem of the file of ids; LeasedError if an export is
    running; RackwrightError if this machine lacks the export that the log knows, if the provider lists nothing, or if
    the run ended early. What was fetched before stays, and the same command goes on.
    """
    if asked.ids:
        check_ids(asked.ids)
    with opened(place, other=asked.other) as exports:
        numbers, damaged = checked(place, exports)
        exporting = _Exporting(place, exports, asked, numbers, damaged)
        exported = exporting.run()
    if exported.stopped:
        raise RackwrightError(
            f"the export ended early: {exported.stopped}",
            where=exported.host,
            should="what was exported stays",
            next=asked.command(place.plan.migration),
        )
    return exported


@dataclass
class _Exporting:
    place: Place
    exports: ExportList
    asked: Asked
    numbers: Iterator[int]
    damaged: int

    def run(self) -> Exported:
        place, tally, stopped = self.place, Tally(self.place.console.say), ""
        with stoppable(place.console.heard) as stopping:
            turns = Turns(stopping=stopping, most_limited=MOST_LIMITED, most_failed=MOST_FAILED)
            with plan_provider(
                place.session.fleet, place.plan, limits=LIMITS, turns=turns, connections=THREADS + 1
            ) as client:
                host = urlsplit(client.base).hostname or ""
                accepted = frozenset(self.asked.accepted)
                exporter = Exporter(
                    client, self.exports, place.folder.key, tally, self.numbers, self.asked.compare, accepted
                )
                try:
                    exporter.run(self.asked.ids)
                except Halt as halt:
                    stopped = halt.why
        self._refuse_nothing(tally, host, stopped)
        whole = not (tally.harmful or tally.unlisted or stopped)
        if not stopped:
            self.exports.append(RunLine(at=time.time(), whole=whole, unlisted=tally.unlisted))
        exported = self._result(tally, host, whole=whole, stopped=stopped)
        place.note("export", exported.line, exported)
        return exported

    def _result(self, tally: Tally, host: str, *, whole: bool, stopped: str) -> Exported:
        return Exported(
            host=host,
            kinds=tally.kinds,
            missing=tuple(sorted(tally.missing, key=lambda one: (ORDER.index(one.kind), one.id))),
            unlisted=dict(tally.unlisted),
            not_offered=tuple(tally.not_offered),
            damaged=self.damaged,
            whole=whole,
            stopped=stopped,
            objects=sum(1 for _ in self.exports.complete()),
            list_bytes=self.exports.length,
            list_sha256=self.exports.sha256() or "",
        )

    def _refuse_nothing(self, tally: Tally, host: str, stopped: str) -> None:
        """An address that is wrong must not look like an account without data."""
        if not stopped and tally.lists_nothing and not tally.has_objects:
            failed = {**tally.unlisted, **dict.fromkeys(tally.not_offered, "it doesn't have this list")}
            raise RackwrightError(
                "the provider lists nothing",
                where=host,
                should=f"check provider.url of the plan, and clouds.{self.place.plan.cloud} of the fleet file",
                listed=[f"{kind}: {why}" for kind, why in failed.items()],
                next=self.asked.command(self.place.plan.migration),
            )

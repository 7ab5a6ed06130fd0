"""The usage program at a gateway of this machine: real HAProxy, and a stand-in for the journal."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from rackwright.roles.usage.program import main
from rackwright.roles.usage.program.day import COLUMNS, Row, added
from rackwright.roles.usage.program.form import state_text
from rackwright.roles.usage.program.main import Places, Proxy
from rackwright.roles.usage.program.quotas import Quota
from rackwright.roles.usage.program.state import State
from rackwright.roles.usage.settings import ASK, TELL, Settings
from rackwright.roles.usage.units import ask_script, tell_script
from tests.gateway.counted import SinkJournal
from tests.gateway.log_sink import LogSink
from tests.gateway.stack import Stack


@dataclass
class Used:
    """A gateway with its usage program, which counts only what comes from now on."""

    stack: Stack
    folder: Path
    sink: LogSink
    others: tuple[str, ...] = ()
    teams: tuple[Quota, ...] = ()
    journal: SinkJournal = field(init=False)

    def __post_init__(self) -> None:
        self.journal = SinkJournal(self.sink)
        self.folder.mkdir()
        paths = self.stack.gateway.paths
        settings = Settings(gateway=self.name, others=self.others)
        scripts = {ASK: ask_script(settings, paths), TELL: tell_script(paths)}
        for name, text in scripts.items():
            (self.folder / name).write_text(text)
            (self.folder / name).chmod(0o755)
        state = State(self.name, cursor=str(len(self.sink.lines)))
        self.places.folder.mkdir()
        self.places.state.write_text(state_text(state))

    @property
    def name(self) -> str:
        return self.stack.settings.name

    @property
    def places(self) -> Places:
        return Places(self.folder / "usage")

    def look(self) -> State:
        """Do what the unit does."""
        scripts = str(self.folder)
        proxy = Proxy(
            lambda: main.ask(scripts),
            lambda lines, load: main.tell(scripts, lines, load),
            Path(self.stack.gateway.paths.configuration),
        )
        return main.look(self.name, self.places, self.journal, proxy, self.teams, time.time)

    def sums(self) -> dict[Row, dict[str, int]]:
        """Look, and return everything that was counted."""
        found: dict[Row, list[int]] = {}
        for day in self.look().days.values():
            for row, sums in day.rows.items():
                found[row] = added(found.get(row, [0] * len(COLUMNS)), sums)
        return {row: dict(zip(COLUMNS, sums, strict=True)) for row, sums in found.items()}

"""A desk whose migration has the whole share, with a stand-in for the provider, and for what the gateways say."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.errors import HostError, RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.migrate import erase, place
from rackwright.lifecycle.migrate.finish import delete, gateway_keys, procedure, quiet, ready
from rackwright.lifecycle.migrate.finish.procedure import Asked
from rackwright.lifecycle.migrate.finish.ready import Preview
from rackwright.lifecycle.migrate.finish.standing import finished
from rackwright.lifecycle.migrate.place import Place
from rackwright.migrate.cutover.state import CutoverState
from rackwright.migrate.finish.deletions import Deletions
from rackwright.migrate.finish.state import FinishState
from rackwright.roles.ledger.program.book import Book
from rackwright.roles.ledger.program.rows import Day, Row
from tests.lifecycle.migrate.cutover.world import World, made
from tests.lifecycle.migrate.desks import Desk
from tests.lifecycle.migrate.stand_in_captures import StandInCaptures, StandInGateway
from tests.lifecycle.migrate.stored_objects import reach, run, store
from tests.loopback_tls import server_files
from tests.stand_in_cloud import ADMIN_KEY, StandInCloud, stand_in_cloud

HOUR = int(datetime.now(UTC).timestamp()) // 3600
DAY = 24


@dataclass
class Documents:
    """The documents of a ControlStore, in memory: a test of the end notes much."""

    stored: dict[str, str] = field(default_factory=dict)

    def put(self, path: str, content: str, kept: int | None = None) -> None:
        self.stored[path] = content

    def put_first(self, path: str, content: str) -> str:
        return self.stored.setdefault(path, content)

    def read(self, path: str) -> str | None:
        return self.stored.get(path)

    def read_all(self, folder: str) -> dict[str, str]:
        names = (path.removeprefix(f"{folder}/") for path in sorted(self.stored) if path.startswith(f"{folder}/"))
        return {name: self.stored[f"{folder}/{name}"] for name in names if "/" not in name}

    def place(self, path: str) -> str:
        return path


@dataclass
class Leaving:
    desk: Desk
    world: World
    cloud: StandInCloud
    captures: StandInCaptures
    keys: Path
    """Where the gateway keeps the clouds' keys."""
    books: dict[str, Book | HostError]
    typed: list[str] = field(default_factory=list)
    """The warnings that the operator has answered with the migration's name."""

    def open(self) -> Place:
        self.desk.said.clear()
        return self.desk.open(self)

    def export(self, **asked: Any) -> None:
        run(self.desk, **asked)

    def look(self) -> Preview:
        return procedure.finish(self.open(), Asked(), execute=False)

    def finish(self, **asked: Any) -> Preview:
        """Do what the command does, up to the apply."""
        return procedure.finish(self.open(), Asked(**asked), execute=True)

    def applied(self) -> FinishState:
        """Do what the apply does, and what comes after it."""
        shutil.rmtree(self.keys)
        return procedure.complete(self.open())

    def end(self) -> FinishState:
        self.export()
        self.finish()
        return self.applied()

    def asked_cloud(self, hours_ago: int, side: str = "cloud") -> None:
        """Let the gateway's ledger have a request of this side."""
        book = self.books["gate1"]
        assert isinstance(book, Book)
        if hours_ago > 3 * DAY:
            book.days[Day("gate1", (HOUR - hours_ago) // DAY, "shop", side)] = [1, 1, 0, 0, 0]
            return
        row = Row(HOUR - hours_ago, "shop", side)
        book.count("gate1", row, 7, 1)
        book.outcomes[row] = [1, 0, 0, 0]

    def has_share(self, share: float, hours_ago: int = 2000) -> None:
        """Let the log say that this share has passed so long ago."""
        since = (HOUR - hours_ago) * 3600
        state = CutoverState(phase="passed", share=share, change="given", since={"gate1": since}, passed=(share,))
        self.open().note("cutover", "passed", state)

    @property
    def state(self) -> FinishState:
        here = self.desk.open()
        found = finished(here.session.store, here.log).state
        assert found is not None
        return found

    @property
    def deletions(self) -> Deletions:
        return Deletions(self.desk.records / "export").load()

    @property
    def problems(self) -> list[str]:
        return [f"{one.where}: {one.what}" for one in self.look().problems]

    @property
    def fleet(self) -> Fleet:
        fleet: Fleet = self.desk.session.fleet
        return fleet

    # The interface of a Console.

    def say(self, text: str) -> None:
        self.desk.said.append(text)

    def heard(self) -> None: ...

    def confirm(self, question: str, **_: Any) -> None:
        raise AssertionError(f"asked: {question}")

    def confirm_by_name(self, warning: str, name: str, *, refusal: RackwrightError) -> None:
        assert name == "support"
        self.typed.append(warning)


@contextmanager
def leaving(desk: Desk, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Leaving]:
    """Yield a desk at 100 % since months, whose provider stores objects of each kind."""
    with stand_in_cloud(*server_files()) as cloud:
        store(cloud)
        reach(desk, cloud)
        text = desk.path.read_text().replace(
            "    context: 2048\n", "    context: 2048\n    cloud: openai  # for now\n"
        )
        desk.path.write_text(text.replace("[assistant, gpt-4o-mini]", "[gpt-4o-mini]"))
        desk.store = Documents()
        for module in (place, erase):
            monkeypatch.setattr(module, "leased", lambda *_, **__: nullcontext(SimpleNamespace(check=lambda: None)))
        monkeypatch.setattr(place, "note_leased_act", lambda *_: None)
        at = made(desk, monkeypatch, ("gate1",))
        (desk.folder / "admin-key").write_text(ADMIN_KEY)
        desk.edit("replay:", 'provider: {admin_key: "file:admin-key"}\nreplay:')
        captures = StandInCaptures({"gate1": StandInGateway()})
        captures.gateways["gate1"].record("1", "2")
        books: dict[str, Book | HostError] = {"gate1": Book("gate1", HOUR - 300 * DAY, taken=(HOUR + 1) * 3_600_000)}
        keys = folder / "cloud"
        keys.mkdir()
        (keys / "openai.key.cred").write_text("encrypted")
        monkeypatch.setattr(erase, "captures_of", lambda *_: captures)
        monkeypatch.setattr(ready, "cutovers_of", lambda *_: at.world)
        monkeypatch.setattr(quiet.Ledgers, "look", lambda _: books)
        monkeypatch.setattr(gateway_keys, "FOLDER", str(keys))
        monkeypatch.setattr(gateway_keys, "RUN", str(keys))
        monkeypatch.setattr(delete, "REST", 0.01)
        at.has(5, 100)
        yield Leaving(desk, at.world, cloud, captures, keys, books)

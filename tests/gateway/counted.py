"""Gateways in front of a cloud, each with its ledger's program: real HAProxy, and a stand-in for the journal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from pathlib import Path

from rackwright.operations.log_program.document import save
from rackwright.operations.log_program.journal import Journal, Place
from rackwright.roles.gateway.access_log import TAG
from rackwright.roles.ledger.program.book import Book
from rackwright.roles.ledger.program.main import Sources, ask_tables, load, look
from rackwright.roles.ledger.settings import Settings
from rackwright.roles.ledger.units import tables_script
from tests.gateway.leaving_cloud import leaving_cloud, reach
from tests.gateway.log_sink import LogSink
from tests.gateway.stack import Stack, eventually, second_gateway
from tests.gateway.test_peers import connected, taught
from tests.stand_in_cloud import StandInCloud
from tests.waiting import wait_until

SECRET = "sk-cloud-" + "c" * 40
ALL_TO_THE_FLEET = "1000000|c1|0|0|1"


class SinkJournal(Journal):
    """Journald as the program sees it, with the lines that a sink has received."""

    def __init__(self, sink: LogSink) -> None:
        super().__init__(TAG)
        self.sink = sink
        self._marks = count()

    def sync(self) -> None:
        mark = f"mark {next(self._marks)}"
        self.sink.log(mark)
        wait_until(lambda: mark in self.sink.lines)

    def lines(self, place: Place, since_hour: int, lost: Callable[[], None]) -> Iterator[bytes]:
        lines = list(self.sink.lines)
        new = lines[int(place.cursor or 0) :]
        yield from (line.encode() for line in new if not line.startswith("mark "))
        place.cursor, place.last = str(len(lines)), sha256(b"").hexdigest()


@dataclass
class Counted:
    """A gateway with its ledger."""

    stack: Stack
    others: tuple[str, ...]
    sink: LogSink
    state: Path
    journal: SinkJournal = field(init=False)

    def __post_init__(self) -> None:
        self.journal = SinkJournal(self.sink)

    @property
    def name(self) -> str:
        return self.stack.settings.name

    def look(self) -> Book:
        """Do what the unit does."""
        settings = Settings(gateway=self.name, others=self.others)
        script = self.state.with_name(f"{self.name}.tables")
        script.write_text(tables_script(settings, self.stack.gateway.paths))
        script.chmod(0o755)
        book = load(self.state, self.name, int(time.time() * 1000))
        look(book, Sources(lambda: ask_tables(str(script)), self.journal))
        save(self.state, book.text())
        return book

    def ask(self, *, model: str = "assistant", stream: bool = False) -> int:
        """Ask the model, wait for the whole answer, and return its status."""
        response = self.stack.send(model, stream=stream)
        response.read()
        return response.status

    def shift(self, share: str) -> None:
        """Give the fleet this share of the model's conversations, in the form of a line of cutovers.map."""
        path = Path(self.stack.gateway.paths.configuration, "cutovers.map")
        path.write_text(f"assistant {share}\n" if share else "")
        self.stack.gateway.reload()


@dataclass
class Pair:
    first: Counted
    second: Counted
    cloud: StandInCloud


@contextmanager
def counted_pair() -> Iterator[Pair]:
    """Yield two gateways that share their counts; a cloud and a replica have the model `assistant`."""
    with ExitStack() as made:
        leaving = made.enter_context(leaving_cloud())
        stack, cloud = leaving.stack, leaving.cloud
        second = made.enter_context(second_gateway(stack))
        sink = LogSink(stack.folder / "second" / "log")
        made.callback(sink.close)
        for one in (stack, second):
            reach(one)
        eventually(lambda: all(connected(one) and taught(one) for one in (stack, second)))
        yield Pair(
            Counted(stack, ("gate2",), stack.log, stack.folder / "gate1.json"),
            Counted(second, ("gate1",), sink, stack.folder / "gate2.json"),
            cloud,
        )


def accepted_by(one: Counted, gateway: str) -> dict[str, int]:
    """Return what this gateway knows that a gateway has accepted, by key, side, hour and worker."""
    rows = one.stack.gateway.ask(f"show table gateways/accepted.{gateway}").splitlines()
    found = [(row.split("key=")[1].split()[0], row.split("gpc0=")[1].split()[0]) for row in rows if "gpc0=" in row]
    assert len(dict(found)) == len(found), rows
    return {key.rstrip("|."): int(count) for key, count in found}


def wait_until_known(one: Counted, other: Counted) -> int:
    """Wait until this gateway knows all that the other's worker has accepted.

    Return how many requests it knows of all workers: of one that was replaced, maybe not the last ones.
    """
    (worker,) = other.stack.gateway.workers
    wanted = {key: count for key, count in accepted_by(other, other.name).items() if key.endswith(f"|{worker}")}
    try:
        wait_until(lambda: wanted.items() <= accepted_by(one, other.name).items())
    except AssertionError:
        raise AssertionError(f"{wanted} was accepted, {accepted_by(one, other.name)} is known") from None
    # Those that fell back are counted in two rows.
    return sum(count for key, count in accepted_by(one, other.name).items() if "|fallback|" not in key)

"""A migration whose cutover is over, and the access log of its gateway since then."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from rackwright.gateway.whole_ledger import Ledger
from rackwright.lifecycle.migrate import log_entry
from rackwright.lifecycle.migrate.review import procedure
from rackwright.lifecycle.migrate.review.gateway_logs import read_logs
from rackwright.migrate.assessment import Assessed
from rackwright.migrate.cost.bill import Bill
from rackwright.migrate.cost.comparison import compare
from rackwright.migrate.cutover.state import CutoverState
from rackwright.migrate.features.summary import ModelTraffic, Tokens, TrafficSummary
from rackwright.migrate.plan.prices import Costs
from rackwright.migrate.score.result import Scored, Segment
from rackwright.verdict import Word
from tests.lifecycle.migrate.cutover.test_ready import capacity, scored
from tests.lifecycle.migrate.desks import Desk
from tests.shells import LocalShell

HALF = datetime(2026, 11, 5, tzinfo=UTC)
"""When the fleet got a half of new conversations."""
WHOLE = datetime(2026, 11, 8, tzinfo=UTC)
"""When it got all."""
NOW = datetime(2026, 11, 11, 12, 30, tzinfo=UTC)
COSTS = "costs: {capital: 3600, months: 36, kilowatts: 0, kilowatt_hour: 0.2, staff: 10}\n"
JOURNALCTL = """#!/bin/sh
case " $* " in
*" short-unix "*) echo "$OLDEST.5 gate1 kernel: hello" ;;
*) cat "$ACCESS_LOG" ;;
esac
"""


def line(at: datetime, side: str | None, conversation: int | None, **other: Any) -> str:
    """Return a line of an access log, as HAProxy writes it."""
    said = {
        "format": "access/1",
        "time": f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z",
        "request": None,
        "key": "ada",
        "model": "assistant",
        "name": "gpt-4o-mini",
        "replica": None,
        "digest": None,
        "path": "/v1/chat/completions",
        "stream": False,
        "status": 200,
        "end": "completed",
        "bytes": 353,
        "queued_ms": 0,
        "first_byte_ms": 300,
        "total_ms": 400,
        "prompt_tokens": 80_000,
        "completion_tokens": 2000,
        "canary": None,
        "conversation": conversation,
        "side": side,
        "accepted": True,
    }
    return json.dumps(said | other, separators=(",", ":"))


@dataclass
class Reviewable:
    desk: Desk
    log: Path
    monkeypatch: pytest.MonkeyPatch
    clock: list[datetime] = field(default_factory=lambda: [NOW])
    ledger: Ledger = field(default_factory=lambda: Ledger(()))
    per_hour: int = 20
    slow: float = 1.0
    """How many times as long as the cloud's the fleet's answers take."""
    fails: int = 0
    """Of how many answers of the fleet one is an error; 0: none."""
    other: dict[str, Any] = field(default_factory=dict)
    """What the log says otherwise of each request."""

    def at(self, moment: datetime) -> Desk:
        self.clock[0] = moment
        return self.desk

    def promise(self, *, saved: float = 90, difference: float = 0.01, peak: float = 0.01) -> None:
        """Note what the steps before the cutover say. The fleet costs 110 EUR a month."""
        tokens = Tokens(known_requests=100, prompt=100_000, completion=10_000)
        traffic = TrafficSummary(requests=100, models={"gpt-4o-mini": ModelTraffic(requests=100, tokens=tokens)})
        bill = Bill("csv", {"2026-10": _decimal(110 + saved)}, {"2026-10": 30})
        costs = Costs(capital=3600, months=36, kilowatts=0, kilowatt_hour=0.2, staff=10)
        place = self.at(HALF - timedelta(days=1)).open()
        place.note("init", "began")
        place.note("assess", "done", Assessed(probed=True, traffic=traffic))
        place.note("score", "done", score(difference))
        place.note("capacity", "done", capacity(peak, 0.02))
        place.note("cost", "done", compare(bill, costs, "EUR"))

    def cut_over(self) -> None:
        """Note a whole cutover."""
        half, whole = int(HALF.timestamp()), int(WHOLE.timestamp())
        place = self.at(HALF).open()
        place.note("cutover", "to 50 %", CutoverState(phase="going", share=50))
        place.note("cutover", "50 %: PASS", CutoverState(phase="passed", share=50, since={"gate1": half}))
        self.at(WHOLE)
        state = CutoverState(
            phase="passed",
            share=100,
            before=50,
            since={"gate1": whole},
            earlier={"gate1": half},
            earlier_share=50,
            passed=(50, 100),
            tried_back=True,
            why="all 3 comparisons are within their thresholds",
        )
        place.note("cutover", "100 %: PASS: all 3 comparisons are within their thresholds", state)
        self.at(NOW)

    def serve(self) -> None:
        """Write the access log: clients ask evenly, from the first share until now."""
        self.log.write_text("".join(f"{one}\n" for one in (*self._lines(), "-- whole")))

    def _lines(self) -> Iterator[str]:
        between, number, at = timedelta(hours=1) / self.per_hour, 0, HALF
        while at < NOW:
            number += 1
            conversation = number * 611_953 % 1_000_000
            fleet = at >= WHOLE or conversation < 500_000
            taken = int((300 + number * 37 % 100) * (self.slow if fleet else 1))
            failed = fleet and self.fails and number % self.fails == 0
            other = {"first_byte_ms": taken, "total_ms": taken + 40_000, "status": 500 if failed else 200}
            yield line(at, "fleet" if fleet else "cloud", conversation, **other | self.other)
            at += between


def score(difference: float, word: Word = Word.PASS) -> Scored:
    segment = Segment(kind="all", pairs=50, difference=difference, word=word, why="because", decides=True)
    return scored(word).model_copy(update={"segments": (segment,)})


def _decimal(monthly: float) -> Any:
    from decimal import Decimal

    return Decimal(str(monthly)) / Decimal("30.4375") * 30


@dataclass
class Gateways:
    """The interface of Remote: one gateway, whose journalctl prints a file."""

    def run_on(self, names: tuple[str, ...], commands: dict[str, str], **_: Any) -> dict[str, Any]:
        return {name: LocalShell(name).run(commands[name], timeout=60) for name in names}


def reviewable(desk: Desk, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Reviewable:
    program, log = folder / "bin" / "journalctl", folder / "access.log"
    program.parent.mkdir()
    program.write_text(JOURNALCTL)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/local/bin:/usr/bin:/bin")
    monkeypatch.setenv("ACCESS_LOG", str(log))
    monkeypatch.setenv("OLDEST", "1790000000")
    monkeypatch.setattr(procedure, "read_logs", lambda _, wanted: read_logs(Gateways(), wanted))  # type: ignore[arg-type]
    desk.edit("currency: EUR\n", f"currency: EUR\n{COSTS}")
    found = Reviewable(desk, log, monkeypatch)
    for module in (log_entry, procedure):
        monkeypatch.setattr(module, "utc_now", lambda: found.clock[0])
    monkeypatch.setattr(procedure, "ledger_of", lambda _: found.ledger)
    # Fewer resamples: what they say is tests/verdict's.
    module = import_module("rackwright.verdict.decide")
    monkeypatch.setattr(module, "decide", partial(module.decide, resamples=400))
    return found

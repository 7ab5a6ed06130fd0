"""A migration from its plan to its report, by the commands alone: each one says which is next, and that one works."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from tests.cli.command_line import Ran, rackwright
from tests.lifecycle.migrate.desk_ends import DeskEnds
from tests.lifecycle.migrate.desks import Desk

FILLED = {
    "gpt-4o-mini: chat": "gpt-4o-mini: assistant",
    "intent: .*": "intent: the contract ends",
    "budget: .*": "budget: 20",
    "(?<!con)currency: .*": "currency: EUR",
    "{input: , output: }": "{input: 1, output: 2}",
    "# costs:.*": "costs: {capital: 1000, kilowatts: 1, kilowatt_hour: 0.2, staff: 10}",
}


class Operator:
    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def __call__(self, *words: object, code: int = 0) -> Ran:
        ran = rackwright("-f", self.desk.path, "migrate", *words)
        assert ran.exit_code == code, (words, ran.stdout, ran.stderr)
        assert "Traceback" not in ran.stderr
        return ran

    def next(self, ran: Ran) -> str:
        """Return what the command says is next, which `status` says, too."""
        said = ran.stdout.splitlines()[-1].removeprefix("next: ")
        assert self("status", "support").stdout.splitlines()[-1] == f"next: {said}"
        return said


def requests() -> Iterator[str]:
    for number in range(100):
        messages = [{"role": "user", "content": f"Question {number} of anna{number}@example.com"}]
        more = {"service_tier": "flex"} if number % 9 == 0 else {}
        yield json.dumps({"model": "gpt-4o-mini", "messages": messages, "max_tokens": 50, **more}) + "\n"


def test_each_command_says_which_is_next(made: DeskEnds) -> None:
    desk, operator = made.desk, Operator(made.desk)
    desk.plan.unlink()
    for words in (("status", "support"), ("assess", "support", "--offline"), ("report", "support")):
        assert "next: rackwright migrate init support" in operator(*words, code=2).stderr
    operator("init", "support", "--new-key", desk.folder / "support.key")
    assert operator("status", "support", code=10).stderr.count("has no value") == 5
    text = desk.plan.read_text()
    for old, new in FILLED.items():
        text, count = re.subn(old, new, text, count=1)
        assert count
    desk.plan.write_text(text)
    assert operator("status", "support").stdout.endswith("or rackwright migrate import support FILE\n")
    log = desk.folder / "log.jsonl"
    log.write_text("".join(requests()))
    assert operator.next(operator("import", "support", log)) == "rackwright migrate assess support"
    offline = operator("assess", "support", "--offline", code=12)
    assert operator.next(offline) == "rackwright migrate assess support"
    assert operator.next(operator("assess", "support", code=12)) == (
        f"add waivers for service_tier to {desk.plan}, or change the clients and record again; then rackwright "
        "migrate assess support"
    )
    desk.edit("waivers: {}", "waivers: {service_tier: batch jobs only}")
    assert operator.next(operator("assess", "support")) == "rackwright migrate replay support"
    assert operator.next(operator("replay", "support", "--yes")) == "rackwright migrate score support"
    # No request of this log has a time, so a capacity can't be measured, nor a bill be computed.
    assert operator.next(operator("score", "support")) == "rackwright migrate cost support --usage FILE"
    assert "next: rackwright migrate cost support --usage FILE" in operator("cost", "support", code=1).stderr
    bill = desk.folder / "bill.csv"
    bill.write_text("month,amount\n2026-11,500\n")
    last = "rackwright migrate report support --html support.html"
    assert operator.next(operator("cost", "support", "--usage", bill)) == last
    page = desk.folder / "support.html"
    operator("report", "support", "--html", page)
    heads = re.findall("<h2>([^<]*)", page.read_text())
    assert (heads[0], heads[-1]) == ("Plan", "Log")
    for part in ("Results", "Waivers", "Traffic", "Map: gpt-4o-mini → assistant", "Replay", "Score", "Examples"):
        assert part in heads
    assert not any("anna" in one.read_bytes().decode("latin-1") for one in desk.records.iterdir())

"""Names that clients use are dropped only knowingly."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.errors import HostError, RackwrightError
from rackwright.lifecycle.apply import dropped_names as module
from rackwright.lifecycle.apply.dropped_names import DroppedName, dropped_names, parse_uses
from rackwright.lifecycle.apply.procedure import agree_to_drop_names
from rackwright.lifecycle.apply.stages import Options
from rackwright.lifecycle.session.survey import Survey
from rackwright.remote.completed import Completed
from rackwright.run import Outcome, Run, Step

CHANGES = Run((Step("gate1", "gateway", "Write models.map", Outcome.WOULD_CHANGE),))
EARLY, LATE = datetime(2026, 11, 1, 3, 15, tzinfo=UTC), datetime(2026, 11, 30, 12, tzinfo=UTC)
USED = DroppedName("old", {"ada": LATE})


class Gateways:
    """Gateways that each serve these names, and whose logs have these uses."""

    def __init__(self, names: str, uses: Mapping[str, str | HostError]) -> None:
        self.names, self.uses, self.asked = names, uses, list[str]()

    def run_on(self, hosts: list[str], command: str, **_: Any) -> dict[str, Completed | HostError]:
        self.asked.append(command)
        if command.startswith("cut"):
            return {host: Completed(0, self.names.encode()) for host in hosts}
        answers = {host: self.uses[host] for host in hosts}
        return {
            host: said if isinstance(said, HostError) else Completed(0, said.encode())
            for host, said in answers.items()
        }


def found(gateways: Gateways, run: Run = CHANGES) -> tuple[DroppedName, ...]:
    models = {"assistant": SimpleNamespace(served=("assistant", "new"))}
    fleet = SimpleNamespace(gateways=("gate1", "gate2"), file=SimpleNamespace(routed=models))
    session: Any = SimpleNamespace(fleet=fleet, remote=gateways)
    return dropped_names(session, Survey({"gate1": SimpleNamespace(), "gate2": SimpleNamespace()}, {}), run)  # type: ignore[dict-item]


def test_each_key_is_named_with_its_last_use_at_any_gateway() -> None:
    both = Run((*CHANGES.steps, Step("gate2", "gateway", "Write models.map", Outcome.WOULD_CHANGE)))
    uses = {
        "gate1": 'old 2026-11-01T03:15:00.000Z "ada"\nold 2026-11-30T11:00:00.000Z "verify"\n',
        "gate2": 'old 2026-11-30T12:00:00.000Z "ada"\nold 2026-11-01T03:15:00.000Z "ben"\n',
    }
    (name,) = found(Gateways("assistant\nold\n", uses), both)
    assert name == DroppedName("old", {"ada": LATE, "ben": EARLY})
    assert str(name) == "old: used by ada (last 2026-11-30 12:00 UTC), ben (last 2026-11-01 03:15 UTC)"


def test_a_name_that_no_client_used_needs_no_question() -> None:
    (name,) = found(Gateways("old\n", {"gate1": 'old 2026-11-30T11:00:00.000Z "verify"\n'}))
    assert not name.in_use
    assert str(name) == "old: not used in the last 30 days"


def test_if_a_log_cannot_be_read_it_counts_as_used() -> None:
    (name,) = found(Gateways("old\n", {"gate1": HostError("a command didn't finish within 60 s")}))
    assert name.in_use
    assert str(name) == "old: who used it is unknown: a command didn't finish within 60 s"


@pytest.mark.parametrize(
    ("names", "run", "questions"), [("assistant\nnew\n", CHANGES, 1), ("old\n", Run(), 0)], ids=["kept", "no change"]
)
def test_the_logs_are_read_only_if_a_name_goes(names: str, run: Run, questions: int) -> None:
    gateways = Gateways(names, {})
    assert found(gateways, run) == ()
    assert len(gateways.asked) == questions


def test_the_log_is_searched_for_the_names_and_nothing_else(tmp_path: Path) -> None:
    line = '{{"format":"access/1","time":"{}","request":"r","key":{},"model":"m","name":{},"replica":null}}'
    log = [
        line.format("2026-11-30T12:00:00.000Z", '"ada"', '"org/m:8b"'),
        line.format("2026-11-30T11:00:00.000Z", '"ada"', '"org/m:8b"'),
        line.format("2026-11-30T10:00:00.000Z", "null", '"old"'),
        "HAProxy's own notice",
    ]
    program = tmp_path / "journalctl"
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' {shlex.join(log)}\nprintf '%s\\n' \"$*\" >{tmp_path}/asked\n")
    program.chmod(0o755)
    command = module._log_command(["old", "org/m:8b"])
    done = subprocess.run(
        ["sh", "-c", command], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, check=True
    )
    assert parse_uses(done.stdout.decode()) == (
        ("org/m:8b", LATE, "ada"),
        ("old", datetime(2026, 11, 30, 10, tzinfo=UTC), "null"),
    )
    assert '--grep "name":"(old|org/m:8b)"' in (tmp_path / "asked").read_text()


def planned(*names: DroppedName) -> Any:
    return SimpleNamespace(dropped=names)


class Console:
    def __init__(self) -> None:
        self.refusals: list[RackwrightError | None] = []

    def confirm(self, question: str, *, refusal: RackwrightError | None = None) -> None:
        self.refusals.append(refusal)


def test_a_used_name_is_asked_for_and_yes_is_no_answer() -> None:
    console: Any = Console()
    agree_to_drop_names(planned(USED, DroppedName("unused", {})), Options(), console)
    ((refusal,),) = (console.refusals,)
    assert refusal.problems[0].listed == ("old: used by ada (last 2026-11-30 12:00 UTC)",)
    assert refusal.problems[0].next == "rackwright apply --drop-names"


@pytest.mark.parametrize(
    ("names", "options"),
    [((USED,), Options(drop_names=True)), ((DroppedName("unused", {}),), Options()), ((), Options())],
)
def test_otherwise_nothing_is_asked(names: tuple[DroppedName, ...], options: Options) -> None:
    console: Any = Console()
    agree_to_drop_names(planned(*names), options, console)
    assert console.refusals == []

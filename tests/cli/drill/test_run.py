"""`drill run` and `drill clean` on the command line: what happens on hosts has a stand-in, signatures are real."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from rackwright.cli.common.console import Console
from rackwright.errors import LeasedError, ProofError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import Lock
from rackwright.lifecycle.drill import clean, procedure
from rackwright.lifecycle.drill.evidence import seal
from rackwright.lifecycle.drill.evidence.facts import Check, Facts
from rackwright.lifecycle.drill.evidence.folder import is_running
from rackwright.lifecycle.drill.record import Record
from rackwright.lifecycle.drill.scope import Scope
from rackwright.lifecycle.notify import deliver
from rackwright.lifecycle.session import session as sessions
from tests.cli.command_line import Ran, rackwright
from tests.lifecycle.drill.conftest import keys as keys
from tests.lifecycle.drill.drills import OWN, SCRATCH
from tests.lifecycle.drill.passing import passing
from tests.loopback_tls import bundle
from tests.webhook_receiver import Receiver, webhook_receiver

LOCK = Lock(fleet="acme", models={}, runtimes={}, ports={})
QUESTION = "Restore to scratch1, scratch2, and wipe them afterwards?"


@dataclass
class Drills:
    """In place of the procedure: a drill ends with these facts."""

    path: Path
    key: Path
    facts: Facts = field(default_factory=passing)
    refusal: Exception | None = None
    carried_out: int = 0
    took_over: list[bool] = field(default_factory=list)
    scope: Scope | None = None
    ran: list[str] = field(default_factory=list)

    @contextmanager
    def planned(
        self, own: Fleet, lock: Lock, scope: Scope, record: Record, opened: Any, console: Any, view: Any
    ) -> Iterator[Drills]:
        assert lock == LOCK
        self.scope, self.opened = scope, opened
        assert is_running(record.folder, record.facts.drill), "its draft is no leftover"
        self.ran.append(record.facts.drill)
        yield self

    @property
    def guard(self) -> Drills:
        return self

    def prove(self, *, take_over: bool, drills: object) -> str:
        self.took_over.append(take_over)
        if self.refusal:
            raise self.refusal
        return "proven"

    def carry_out(self, record: Record, proven: str) -> Facts:
        assert proven == "proven"
        self.carried_out += 1
        self.opened("the drill's fleet")
        return replace(self.facts, drill=record.facts.drill)

    def __call__(self, *words: str, answers: str = "") -> Ran:
        return rackwright("-f", self.path, "drill", "run", "--sign-with", self.key, *words, answers=answers)

    @property
    def folder(self) -> Path:
        return self.path.with_name("acme.drills")

    @property
    def reports(self) -> list[str]:
        return [path.name for path in self.folder.glob("*.json")]


@pytest.fixture
def drills(tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch) -> Drills:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    path = tmp_path / "acme.yml"
    person = f"{{role: operator, keys: [{(keys / 'anna.pub').read_text().strip()}]}}"
    path.write_text(f"{OWN}people:\n  anna: {person}\n")
    made = Drills(path, keys / "anna")
    monkeypatch.setattr("rackwright.fleet.lock_file.read_lock", lambda _: LOCK)
    monkeypatch.setattr("rackwright.fleet.lock_file.require_match", lambda *_: None)
    monkeypatch.setattr(procedure, "planned", made.planned)
    monkeypatch.setattr(sessions, "open_session", lambda fleet, *, progress: (fleet, progress))
    return made


def test_the_plan_is_shown_and_the_drill_is_carried_out_after_a_yes(drills: Drills) -> None:
    ran = drills(answers="y\n")
    assert (ran.exit_code, drills.carried_out, drills.took_over) == (0, 1, [False])
    assert "scenario everything\n  gate1: restored to scratch1\n  gpu1: restored to scratch2\n" in ran.stderr
    assert "  gpu2: not covered: no scratch host is left that stands for it\n" in ran.stderr
    assert QUESTION in ran.stderr
    (drill,) = drills.ran
    report = drills.folder / f"{drill}.json"
    digest = hashlib.sha256(report.read_bytes()).hexdigest()
    assert ran.stdout.splitlines() == [
        "  restored               600.0 s",
        "  answers                540.0 s",
        "RTO 11 min 40 s, objective 1 h 0 min",
        "RPO 31 min 0 s, objective 24 h 0 min",
        f"drill {drill} passed: {report}, sha256 {digest}",
    ]
    assert not is_running(drills.folder, drill)
    assert rackwright("drill", "verify", drills.folder).exit_code == 0


def test_the_bars_are_gone_before_ssh_keygen_can_ask(drills: Drills, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    real = seal.seal

    def sealed(*words: Any) -> Any:
        calls.append("seal")
        return real(*words)

    monkeypatch.setattr(Console, "pause", lambda _: calls.append("pause"))
    monkeypatch.setattr(seal, "seal", sealed)
    assert drills("--yes").exit_code == 0
    assert calls == ["pause", "pause", "seal"], "before the question, and before the report is signed"


@pytest.fixture
def receiver(drills: Drills, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver of the fleet's notices."""
    monkeypatch.setattr(deliver, "WAITS", ())
    with webhook_receiver() as started:
        text = drills.path.read_text()
        drills.path.write_text(f"{text}notify: {{url: '{started.url}', ca: {bundle()}}}\n")
        yield started


def test_people_hear_that_a_drill_starts_and_ends(drills: Drills, receiver: Receiver) -> None:
    assert drills(answers="y\n").exit_code == 0
    (drill,) = drills.ran
    started, ended = (one.document for one in receiver.posted)
    assert started["summary"] == "drill run started: scenario everything, scratch1, scratch2"
    assert (started["run"], started["hosts"], started["command"]) == (drill, ["scratch1", "scratch2"], "drill run")
    digest = hashlib.sha256((drills.folder / f"{drill}.json").read_bytes()).hexdigest()
    assert ended["summary"] == f"drill run ended: drill {drill} passed: sha256 {digest}"
    assert (ended["event"], ended["hosts"]) == ("ended", ["scratch1", "scratch2"])


def test_people_hear_why_a_drill_did_not_pass(drills: Drills, receiver: Receiver) -> None:
    lost = tuple(one for one in passing().checks if one.name != "wiped")
    drills.facts = replace(passing(), error="gpu1: no space", timing=None, checks=lost)
    assert drills("--yes").exit_code == 12
    failed = receiver.posted[-1].document
    assert (receiver.events, failed["summary"]) == (["started", "failed"], "drill run failed: not passed")
    assert "the drill stopped: gpu1: no space" in failed["reason"]
    assert f"the report is {drills.folder}" in failed["reason"]
    assert failed["next"] == "rackwright drill clean"


def test_a_drill_that_cant_start_is_heard_of_if_no_one_is_at_the_terminal(drills: Drills, receiver: Receiver) -> None:
    drills.refusal = ProofError("has the machine ID of gpu1, a host of the fleet", where="scratch1")
    assert drills(answers="y\n").exit_code == 12
    assert receiver.posted == []
    assert drills("--yes").exit_code == 12
    assert receiver.events == ["failed"]
    drills.path.write_text(drills.path.read_text().replace(SCRATCH, ""))
    assert drills("--yes").exit_code == 10
    assert receiver.events == ["failed", "failed"]


def test_a_receiver_that_takes_nothing_changes_nothing(drills: Drills, receiver: Receiver) -> None:
    receiver.codes[:] = [404] * 4
    ran = drills("--yes", "--json")
    assert (ran.exit_code, ran.document["passed"]) == (0, True)
    assert [one["why"] for one in ran.document["not_notified"]] == ["answers 404", "answers 404"]
    ran = drills("--yes")
    said = f"but not everyone knows: webhook {receiver.place}: answers 404; next: check notify.url"
    assert (ran.exit_code, f"drill run started, {said}" in ran.stderr, f"drill run ended, {said}" in ran.stderr) == (
        0,
        True,
        True,
    )


def test_nothing_happens_without_a_yes_and_nothing_is_left(drills: Drills) -> None:
    ran = drills(answers="n\n")
    assert (ran.exit_code, drills.carried_out) == (1, 0)
    assert list(drills.folder.iterdir()) == []


def test_nothing_is_asked_if_a_scratch_host_is_production(drills: Drills) -> None:
    drills.refusal = ProofError("has the machine ID of gpu1, a host of the fleet", where="scratch1")
    ran = drills("--yes")
    assert (ran.exit_code, drills.carried_out, drills.reports) == (12, 0, [])
    assert "error: scratch1: has the machine ID of gpu1, a host of the fleet" in ran.stderr
    assert QUESTION not in ran.stderr


def test_a_drill_that_did_not_pass_is_sealed_and_exits_with_12(drills: Drills) -> None:
    drills.facts = replace(passing(), error="gpu1: no space", timing=None)
    ran = drills("--yes")
    assert ran.exit_code == 12
    assert "not proven: the drill stopped: gpu1: no space" in ran.stdout
    (drill,) = drills.ran
    assert f"drill {drill} NOT PASSED: " in ran.stdout
    assert "RTO" not in ran.stdout.splitlines()[0]
    assert drills.reports == [f"{drill}.json"]


def test_the_answer_for_scripts_has_the_result_and_the_reports_hash(drills: Drills) -> None:
    ran = drills("--yes", "--json", "--scenario", "poisoned", "--take-over")
    (drill,) = drills.ran
    assert (ran.exit_code, ran.stderr, drills.took_over) == (0, "", [True])
    document = ran.document
    digest = hashlib.sha256((drills.folder / f"{drill}.json").read_bytes()).hexdigest()
    assert document == {
        "drill": drill,
        "scenario": "everything",
        "passed": True,
        "doubts": [],
        "rto_s": 700.0,
        "rpo_s": 1860.0,
        "report": str(drills.folder / f"{drill}.json"),
        "sha256": digest,
        "not_notified": [],
    }
    assert drills.scope
    assert drills.scope.scenario == "poisoned"


def test_the_host_of_a_scenario_is_passed_on(drills: Drills) -> None:
    assert drills("--yes", "--scenario", "serving-host", "--host", "gpu1").exit_code == 0
    assert drills.scope
    assert drills.scope.scratch == {"gate1": "scratch1", "gpu1": "scratch2"}
    assert drills("--yes", "--scenario", "gateway", "--host", "gpu1").exit_code == 2
    assert drills("--yes", "--scenario", "sabotage").exit_code == 2
    assert drills.carried_out == 1


@pytest.mark.parametrize(
    ("spoil", "code", "said"),
    [
        (lambda text: text.replace(SCRATCH, ""), 10, "drill: missing"),
        (lambda text: text[: text.index("people:")], 2, "isn't a signer's key"),
    ],
)
def test_what_is_missing_is_said_before_a_host_is_asked(
    drills: Drills, spoil: Callable[[str], str], code: int, said: str
) -> None:
    drills.path.write_text(spoil(drills.path.read_text()))
    ran = drills("--yes")
    assert ran.exit_code == code
    assert said in ran.stderr
    assert (drills.ran, drills.took_over) == ([], [])


def test_leftovers_are_cleaned_after_a_yes(drills: Drills, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def clean_up(fleet: Fleet, console: Any) -> tuple[str, ...]:
        asked.append(fleet.file.fleet)
        console.confirm("Wipe scratch1?")
        return ("scratch1",)

    monkeypatch.setattr(clean, "clean_up", clean_up)
    command = ("-f", drills.path, "drill", "clean")
    ran = rackwright(*command, answers="y\n")
    assert (ran.exit_code, ran.stdout, asked) == (0, "wiped: scratch1\n", ["acme"])
    assert rackwright(*command, answers="n\n").exit_code == 1
    assert rackwright(*command, "--yes", "--json").document == {"wiped": ["scratch1"]}
    monkeypatch.setattr(clean, "clean_up", lambda *_: ())
    assert rackwright(*command).stdout == "wiped: none, no host has a drill on it\n"


def test_a_cleaning_that_fails_says_what_is_left(drills: Drills, monkeypatch: pytest.MonkeyPatch) -> None:
    def clean_up(*_: object) -> None:
        raise LeasedError("another drill has taken this host", where="scratch1")

    monkeypatch.setattr(clean, "clean_up", clean_up)
    ran = rackwright("-f", drills.path, "drill", "clean", "--yes")
    assert ran.exit_code == 11
    assert "error: scratch1: another drill has taken this host" in ran.stderr


def test_the_next_command_is_said_if_data_may_be_left_on_a_host(drills: Drills) -> None:
    whole, lost = passing(), tuple(one for one in passing().checks if one.name != "wiped")
    said = "data may be left on scratch hosts, which stay isolated; next: rackwright drill clean\n"
    assert said not in drills("--yes").stdout
    for checks in (lost, (*lost, Check("wiped", "failed", "gate1", "left: /srv/models/a"))):
        drills.facts = replace(whole, checks=checks)
        assert said in drills("--yes").stdout
    drills.facts = replace(whole, checks=(), commands=())
    assert said not in drills("--yes").stdout, "no host was taken"

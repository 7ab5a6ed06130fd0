"""What a drill leaves on disk as it goes."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rackwright.errors import RackwrightError
from rackwright.lifecycle.drill.evidence import folder as files
from rackwright.lifecycle.drill.evidence.conclusion import conclude
from rackwright.lifecycle.drill.evidence.facts import Check
from rackwright.lifecycle.drill.evidence.folder import log_path, running
from rackwright.lifecycle.drill.evidence.seal import drafts
from rackwright.lifecycle.drill.record import FINDING_DAYS, Record, RecordedConsole
from tests.lifecycle.drill.drills import DRILL, new_record
from tests.lifecycle.restore.kit_vault import Operator


@pytest.fixture
def record(tmp_path: Path) -> Record:
    return new_record(tmp_path)


def log_of(record: Record) -> str:
    return log_path(record.folder, DRILL).read_text()


def test_each_phase_is_a_command_with_the_hash_of_its_part_of_the_log(record: Record) -> None:
    record.reach("isolation")
    record.say("closed")
    record.reach("kit")
    record.fail("no kit")
    facts = record.end()
    assert [(one.command, one.exit_code, one.host) for one in facts.commands] == [
        ("isolation", 0, ""),
        ("kit", 1, ""),
    ]
    lines = log_of(record).splitlines(keepends=True)
    assert [line.partition(" ")[2] for line in lines] == [
        "phase: isolation\n",
        "closed\n",
        "phase: kit\n",
        "stopped: no kit\n",
    ]
    parts = ("".join(lines[:2]), "".join(lines[2:]))
    assert [one.log_sha256 for one in facts.commands] == [hashlib.sha256(part.encode()).hexdigest() for part in parts]


def test_the_first_reason_counts(record: Record) -> None:
    record.fail("no kit")
    record.fail("not wiped")
    assert record.facts.error == "no kit"
    record.keep()
    assert " stopped: not wiped\n" in log_of(record)


def test_phases_are_timed_from_the_loss_on(record: Record) -> None:
    record.reach("isolation")
    assert record.facts.timing is None
    record.timeline.declare_loss()
    record.reach("kit")
    record.reach("plan")
    facts = record.end()
    assert facts.timing
    assert [phase.name for phase in facts.timing.phases] == ["kit", "plan"]
    assert facts.timing.ended
    assert facts.ended


def test_a_drill_without_a_loss_ends_too(record: Record) -> None:
    facts = record.end()
    assert facts.ended
    assert facts.timing is None


def test_checks_are_facts_and_lines_of_the_log(record: Record) -> None:
    record.add(Check("wiped", "passed", "gate1", "nothing is left"), Check("serves", "failed", found="HTTP 503"))
    record.keep()
    assert [one.name for one in record.facts.checks] == ["wiped", "serves"]
    assert [line.partition(" ")[2] for line in log_of(record).splitlines()] == [
        "passed: gate1: wiped: nothing is left",
        "failed: serves: HTTP 503",
    ]


def test_a_killed_drill_leaves_its_facts_and_its_log(record: Record) -> None:
    with running(record.folder, DRILL):
        record.timeline.declare_loss()
        record.reach("kit")
        record.say("fetching")
        record.add(Check("isolated", "passed", "gate1"))
        record.reach("plan")
        assert drafts(record.folder) == ()
    (left,) = drafts(record.folder)
    assert [one.command for one in left.facts.commands] == ["kit"]
    assert [one.name for one in left.facts.checks] == ["isolated"]
    assert left.facts.timing
    assert left.facts.ended is None
    assert log_of(record).splitlines()[1].endswith(" fetching")


def test_each_doubt_is_a_finding_of_the_operator(record: Record) -> None:
    record.facts = replace(record.facts, operator="anna@laptop")
    facts = record.end()
    assert [one.text for one in facts.findings] == list(conclude(replace(facts, findings=())).doubts)
    assert {one.owner for one in facts.findings} == {"anna@laptop"}
    assert facts.ended
    assert {one.due for one in facts.findings} == {(facts.ended + timedelta(days=FINDING_DAYS)).date()}


def test_a_full_disk_is_said(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "replace_file", full)
    with pytest.raises(RackwrightError, match="can't be written: No space left on device"):
        record.reach("kit")


def test_what_the_operator_sees_is_recorded(record: Record) -> None:
    operator = Operator()
    shown: list[tuple[object, ...]] = []
    operator.stage = lambda what, stages: shown.append((what, stages))  # type: ignore[method-assign]
    operator.arriving = lambda *words: shown.append(words)  # type: ignore[method-assign]
    operator.heard = lambda: shown.append(("heard",))  # type: ignore[method-assign]
    console = RecordedConsole(operator, record)
    console.say("restoring gate1")
    console.stage("Base system", ("Base system", "Engines"))
    console.arriving("gpu1", "weights", 1, 2, 3)
    console.heard()
    assert operator.said == ["restoring gate1"]
    assert shown == [("Base system", ("Base system", "Engines")), ("gpu1", "weights", 1, 2, 3), ("heard",)]
    record.keep()
    assert [line.partition(" ")[2] for line in log_of(record).splitlines()] == [
        "restoring gate1",
        "stage: Base system",
    ]


def test_questions_are_answered_by_the_drill_and_those_for_a_person_stop_it(record: Record) -> None:
    operator = Operator()
    console = RecordedConsole(operator, record)
    console.confirm("Apply?")
    refusal = RackwrightError("needs a person")
    with pytest.raises(RackwrightError, match="needs a person"):
        console.confirm("Close port 80?", refusal=refusal)
    with pytest.raises(RackwrightError, match="needs a person"):
        console.confirm_by_name("gate1 serves.", "gate1", refusal=refusal)
    assert operator.asked == []
    record.keep()
    assert [line.partition(" ")[2] for line in log_of(record).splitlines()] == [
        "question: Apply?",
        "question: Close port 80?",
        "question: gate1 serves.",
    ]

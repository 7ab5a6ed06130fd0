"""The mutants of templates and scripts: what is mutated, and that each survivor is explained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.text_mutants.__main__ import RAW, ROOT, TARGET
from benchmarks.text_mutants.mutants import Mutant
from benchmarks.text_mutants.operators import changes
from benchmarks.text_mutants.places import Place, places
from benchmarks.text_mutants.roles import ROLES
from benchmarks.text_mutants.score import explanations

TRIED = json.loads(RAW.read_text())["mutants"]


def mutated(text: str, *, script: bool = False) -> list[str]:
    return [change.new for change in changes(Place(1, text, 0, len(text)), script=script)]


def test_a_rule_is_turned_round_shifted_and_left_out() -> None:
    assert mutated("udp sport 67 accept") == ["", "udp sport 67 drop", "udp dport 67 accept", *(
        f"udp sport {number} accept" for number in (670, 0)
    )]  # fmt: skip


def test_a_conditions_sense_and_a_commands_options_go() -> None:
    assert mutated('! grep -q "$x" || exit 1', script=True) == [
        "",
        '! grep -q "$x" && exit 1',
        'grep -q "$x" || exit 1',
        '! grep  "$x" || exit 1',
        '! grep -q "$x" || exit 2',
        '! grep -q "$x" || exit 0',
    ]
    assert mutated("http-request deny if bad") == [
        "",
        "http-request deny unless bad",
        "http-request allow if bad",
    ]


def test_what_nothing_can_be_read_without_stays() -> None:
    assert mutated("{% if vip %}") == mutated("}") == mutated("[Unit]") == []


def test_comments_and_docstrings_are_no_place_and_code_stays_as_it_is(tmp_path: Path) -> None:
    shell, python = tmp_path / "x.sh", tmp_path / "x.py"
    shell.write_text("# accept\naccept # accept\n")
    assert [(place.number, place.end) for place in places(shell)] == [(2, 6)]
    python.write_text('"""accept"""\n\n\ndef f() -> str:\n    """Return accept."""\n    return f"accept {1 + 1}"\n')
    (place,) = places(python)
    assert (place.number, place.whole) == (6, False)


def test_a_script_that_no_shell_reads_is_no_mutant(tmp_path: Path) -> None:
    (tmp_path / "x.sh").write_text("if a; then\nb\nfi\n")
    assert not Mutant("r", "x.sh", 3, "delete", "fi", "").parses(tmp_path)
    assert Mutant("r", "x.sh", 2, "swap", "b", "c").parses(tmp_path)


def test_every_role_has_texts_and_tests() -> None:
    for role in ROLES:
        assert all(list(ROOT.glob(pattern)) for pattern in role.texts)
        assert all((ROOT / test).exists() for test in role.tests)


@pytest.mark.parametrize("told", [told for told in TRIED if not told["killed_by"]], ids=lambda told: told["new"])
def test_a_survivor_changes_nothing_that_matters_or_dies_in_a_lab(told: dict[str, str]) -> None:
    why = explanations()[told["file"], told["old"].strip(), told["new"].strip()]
    kind, _, rest = why.partition(": ")
    assert kind in ("equivalent", "lab")
    if kind == "lab":
        file, name = rest.split("::")
        assert f"def {name}(" in (ROOT / file).read_text()


def test_unit_tests_kill_nine_of_ten() -> None:
    assert sum(bool(told["killed_by"]) for told in TRIED) >= TARGET * len(TRIED) > 200 * TARGET

"""Which files run after a change, and what CI's output shows about it."""

from __future__ import annotations

import pytest

from tests.heavy.need.choose import DECIDING, RECIPES, choose
from tests.heavy.need.files import heavy_files
from tests.heavy.need.record import Record
from tests.heavy.need.table import table
from tests.heavy_unit.records import BASE, passed, record

FILES = [file for file in heavy_files() if not file.machine]
NAMES = [file.name for file in FILES]
FRESH = Record(3, BASE, {name: passed(3) for name in NAMES})


def running(changed, known: Record = FRESH, number: int = 4) -> dict[str, str]:
    return {choice.file.name: choice.why for choice in choose(FILES, known, number, changed) if choice.why}


def test_what_a_change_touches_runs_and_a_share_of_the_rest():
    chosen = running({"roles/vip/templates/check.sh.j2"})
    for name in ("test_month.py", "test_vip.py"):
        assert chosen.pop(name) == "touched: roles/vip/templates/check.sh.j2"
    assert set(chosen.values()) == {"its turn"}
    assert 0 < len(chosen) < len(NAMES) / 2


def test_the_share_is_of_those_that_are_not_touched():
    chosen = running({"docs/update.md"})
    touched = next(iter(chosen))
    assert len(running({f"tests/heavy/{touched}"})) == len(chosen) + 1


def test_a_change_of_docs_runs_only_those_whose_turn_it_is():
    assert set(running({"docs/update.md", "README.md"}).values()) == {"its turn"}


PASSED = Record(4, BASE, {**FRESH.passed, "test_vip.py": passed(4)})


@pytest.mark.parametrize("changed", [{"roles/vip/role.py"}, {"pyproject.toml", "roles/vip/role.py"}])
@pytest.mark.parametrize(
    ("later", "runs"),
    [
        (set(), False),
        ({"docs/update.md"}, False),
        ({"roles/vip/settings.py"}, True),
        ({"uv.lock"}, True),
        ({RECIPES}, True),
        (None, True),
    ],
    ids=["nothing", "docs", "what it covers", "what decides", "another recipe", "not known"],
)
def test_what_passed_in_this_landing_runs_again_only_after_a_change_that_touches_it(changed, later, runs):
    choices = choose(FILES, PASSED, 4, changed, lambda _: later)
    (vip,) = (choice for choice in choices if choice.file.name == "test_vip.py")
    assert (vip.why not in (None, "its turn")) is runs


def test_what_passed_in_an_earlier_landing_runs_if_it_is_touched():
    choices = choose(FILES, PASSED, 5, {"roles/vip/role.py"}, lambda _: set())
    assert "touched: roles/vip/role.py" in {choice.why for choice in choices if choice.file.name == "test_vip.py"}


def test_a_change_that_is_not_known_runs_all():
    assert list(running(None)) == NAMES
    assert "its turn" not in running(None).values()


@pytest.mark.parametrize(
    "path", [*DECIDING, "tests/heavy/need/rotation.py", "tests/heavy/conftest.py", "tests/conftest.py"]
)
def test_a_change_of_what_decides_runs_all(path):
    assert list(running({path, "docs/update.md"})) == NAMES


def test_another_recipe_in_the_makefile_runs_all():
    assert set(running({RECIPES}).values()) == {"all: Makefile (test-heavy) changed"}


def test_an_edited_record_does_not_run_all():
    assert running({"tests/heavy/passed.json"}) == running({"docs/update.md"})


def test_several_files_that_touch_are_counted():
    chosen = running({"roles/vip/role.py", "roles/vip/settings.py"})
    assert chosen["test_vip.py"] == "touched: roles/vip/role.py and 1 more"


def test_the_table_says_what_runs_and_when_the_others_last_passed():
    choices = choose(FILES, FRESH, 4, {"roles/vip/role.py"})
    lines = table(choices, FRESH).splitlines()
    assert "  runs     test_vip.py              touched: roles/vip/role.py; last passed on 2026-11-27" in table(
        choices, FRESH
    )
    others = [line for line in lines if "test_vllm_cache.py" in line]
    assert others == [
        "  NOT RUN  test_vllm_cache.py       not touched; last passed on 2026-11-27 in landing 3 at 11111111"
    ]
    assert lines[-1] == f"  {sum(' runs ' in line for line in lines)} of {len(FILES)} files run."


def test_the_table_names_what_never_passed():
    nothing = record(3)
    assert table(choose(FILES, nothing, 4, None), nothing).count("has never passed") == len(FILES)

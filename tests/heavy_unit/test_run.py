"""Runs of chosen files with real pytest, and what they leave in the record."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from tests.heavy.need import __main__ as program
from tests.heavy.need import git, run
from tests.heavy.need.files import HeavyFile
from tests.heavy.need.record import Record, load, save
from tests.heavy_unit.records import BASE, passed, record

MADE = {
    "good": "def test_one(): pass\ndef test_two(): pass\n",
    "bad": "def test_one(): pass\ndef test_two(): assert False\n",
    "skips": "import pytest\ndef test_one(): pass\ndef test_two(): pytest.skip('not here')\n",
    "teardown": "import pytest\n@pytest.fixture\ndef up():\n    yield\n    assert False\ndef test_one(up): pass\n",
    "cut_off": "def test_one(): pass\ndef test_two(): raise KeyboardInterrupt\n",
    "broken": "import nothing_of_that_name\n",
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in MADE.items():
        path = tmp_path / "tests" / "heavy" / f"test_{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for package in (tmp_path / "tests", tmp_path / "tests" / "heavy"):
        (package / "__init__.py").touch()
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "save", lambda made: save(made, tmp_path / "passed.json"))
    monkeypatch.setattr(git, "head", lambda: "c" * 40)
    return tmp_path


def ran(root: Path, *names: str, words: tuple[str, ...] = ()) -> tuple[int, Record | None]:
    files = [HeavyFile(f"test_{name}.py", (), machine=False) for name in names]
    code = run.run_and_record(files, ["-p", "no:cacheprovider", *words], record(4, bad=2), "a" * 40)
    path = root / "passed.json"
    return code, load(path) if path.exists() else None


def test_files_that_passed_as_a_whole_are_recorded_in_a_new_landing(root: Path):
    code, found = ran(root, "good", "bad", "skips", "teardown")
    assert code == 1
    assert found is not None
    assert (found.landing, found.base) == (5, "a" * 40)
    assert set(found.passed) == {"test_good.py", "test_bad.py"}
    assert found.passed["test_bad.py"] == passed(2)
    good = found.passed["test_good.py"]
    assert (good.landing, good.commit) == (5, "c" * 40)
    assert good.seconds is not None


def test_two_workers_record_the_same(root: Path):
    code, found = ran(root, "good", "bad", words=("-p", "xdist", "-n", "2", "--dist", "loadfile"))
    assert code == 1
    assert found is not None
    assert found.passed["test_good.py"].landing == 5
    assert found.passed["test_bad.py"] == passed(2)


@pytest.mark.parametrize(
    ("names", "words"),
    [(("good", "broken"), ()), (("cut_off",), ()), (("good",), ("-k", "nothing"))],
    ids=["broken", "cut off", "none"],
)
def test_a_run_that_did_not_come_to_its_end_records_nothing(root: Path, names, words):
    code, found = ran(root, *names, words=words)
    assert code not in (0, 1)
    assert found is None


def test_the_first_failure_does_not_end_a_run(root: Path):
    _, found = ran(root, "bad", "good", words=("-x",))
    assert found is not None
    assert "test_good.py" in found.passed


def test_options_from_outside_leave_nothing_out(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k test_one")
    code, found = ran(root, "bad")
    assert code == 1
    assert found is None


def test_the_report_goes_where_the_makefile_says(root: Path):
    code, found = ran(root, "good", words=("--junitxml=kept.xml",))
    assert (code, (root / "kept.xml").exists()) == (0, True)
    assert found is not None


def test_a_report_of_an_earlier_run_is_not_taken_for_this_one(root: Path, monkeypatch: pytest.MonkeyPatch):
    ran(root, "good", words=("--junitxml=kept.xml",))
    (root / "passed.json").unlink()
    monkeypatch.setattr(run, "run", lambda *_: 1)
    assert ran(root, "good", words=("--junitxml=kept.xml",)) == (1, None)


@pytest.mark.parametrize(
    ("said", "expected"),
    [("a" * 40, None), (None, "RECORD needs BASE"), ("f" * 40, "BASE is HEAD"), ("0" * 40, "older than")],
)
def test_a_record_needs_the_commit_that_landed_last(monkeypatch: pytest.MonkeyPatch, said, expected):
    monkeypatch.setattr(git, "commit", {"HEAD": "f" * 40}.get)
    monkeypatch.setattr(git, "follows", lambda later, _: later == "a" * 40)
    if expected is None:
        program.refuse_to_record(said, record(4))
        return
    with pytest.raises(SystemExit, match=expected):
        program.refuse_to_record(said, record(4))


def asked(**more: object) -> argparse.Namespace:
    return argparse.Namespace(**{"machines": False, "all": False, "files": [], **more})


def test_without_a_base_all_run_and_machines_are_a_choice_of_their_own():
    assert all(choice.why for choice in program.chosen(asked(), record(4), None))
    machines = {choice.file.name for choice in program.chosen(asked(machines=True), record(4), None)}
    named = ("boot_vm", "clock_vm", "driver_vm", "hardening", "patch_vm", "vm")
    assert machines == {f"test_{name}.py" for name in named}


def test_a_base_since_which_nothing_changed_is_the_wrong_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(git, "changed_since", lambda _: frozenset())
    assert program.changed(BASE) is None


@pytest.mark.parametrize(("same", "expected"), [(True, {"docs/x.md"}), (False, {"docs/x.md", program.RECIPES})])
def test_another_recipe_is_part_of_the_change(monkeypatch: pytest.MonkeyPatch, same, expected):
    monkeypatch.setattr(git, "changed_since", lambda _: frozenset({"docs/x.md"}))
    monkeypatch.setattr(git, "same_recipes", lambda _: same)
    assert program.changed(BASE) == expected


def test_files_that_are_asked_for_run_alone_and_unknown_ones_are_refused():
    choices = program.chosen(asked(files=["tests/heavy/test_vip.py"]), record(4), None)
    assert [choice.file.name for choice in choices if choice.why] == ["test_vip.py"]
    with pytest.raises(SystemExit, match=r"test_vipp\.py"):
        program.chosen(asked(files=["test_vipp.py"]), record(4), None)


def test_all_run_when_all_are_asked_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(program, "changed", lambda _: frozenset({"docs/x.md"}))
    assert all(choice.why for choice in program.chosen(asked(all=True), record(4), BASE))


def test_nothing_to_run_is_no_failure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(program, "chosen", lambda *_: [])
    monkeypatch.setattr(program, "table", lambda *_, running: "nothing")
    monkeypatch.setattr(program, "run", lambda *_: pytest.fail("pytest would end with 5"))
    assert program.main([]) == 0
    assert "Heavy tests: landing" in capsys.readouterr().out

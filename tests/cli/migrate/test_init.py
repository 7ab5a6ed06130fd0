"""A plan to start from: it has what the fleet file says, and each thing that only the operator knows is named."""

from __future__ import annotations

import json
import re
import stat
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyrage
import pytest

from rackwright.errors import FleetError, RackwrightError, UsageError
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.migrate import new_migration
from rackwright.lifecycle.migrate.new_migration import begin
from rackwright.migrate.plan.plan_file import read_plan
from tests.cli.command_line import rackwright
from tests.fleet.fleets import make_fleet
from tests.lifecycle.migrate.desks import Desk

FILLED = {
    "intent: .*": "intent: the contract ends",
    "budget: .*": "budget: 20",
    "(?<!con)currency: .*": "currency: EUR",
    "{input: , output: }": "{input: 1, output: 2}",
}


def fleet_in(folder: Path, **clouds: tuple[str, ...]) -> Fleet:
    fleet = make_fleet(folder / "site.yml", replicas={"gpu1": ["assistant@1", "coder@1"]})
    models = {
        name: SimpleNamespace(served=names)
        for name, names in {
            "assistant": ("gpt-4o-mini", "assistant"),
            "coder": ("coder",),
            "big": ("gpt-4o",),
        }.items()
    }
    file: Any = SimpleNamespace(
        fleet="acme",
        models={"assistant": models["assistant"], "coder": models["coder"]},
        routed=models,
        clouds={name: SimpleNamespace(names=names) for name, names in clouds.items()},
    )
    return replace(fleet, file=file)


def filled(path: Path) -> None:
    """Write what only an operator knows into the plan."""
    text = path.read_text()
    for old, new in FILLED.items():
        text, count = re.subn(old, new, text)
        assert count
    path.write_text(text)


def test_it_has_what_the_fleet_says_and_names_all_that_is_left(tmp_path: Path) -> None:
    fleet = fleet_in(tmp_path, openai=("gpt-4o-mini", "gpt-4o"))
    done = begin(fleet, "support", tmp_path / "migration.key")
    assert done.plan == tmp_path / "site.migrate-support.yml"
    with pytest.raises(FleetError) as caught:
        read_plan(fleet, "support")
    assert [problem.where.partition(" ")[2] for problem in caught.value.problems] == [
        "intent",
        "replay.budget",
        "currency",
        "prices.gpt-4o-mini.input",
        "prices.gpt-4o-mini.output",
        "prices.gpt-4o.input",
        "prices.gpt-4o.output",
    ]
    assert {problem.what for problem in caught.value.problems} == {"has no value"}
    filled(done.plan)
    plan = read_plan(fleet, "support")
    assert (plan.cloud, plan.models) == ("openai", {"gpt-4o-mini": "assistant", "gpt-4o": "big"})
    assert plan.records.identity == "file:migration.key"


def test_the_new_key_reads_what_the_plan_encrypts(tmp_path: Path) -> None:
    fleet, key = fleet_in(tmp_path, openai=("gpt-4o",)), tmp_path / "migration.key"
    begin(fleet, "support", key)
    filled(tmp_path / "site.migrate-support.yml")
    plan = read_plan(fleet, "support")
    sealed = pyrage.encrypt(b"x", [pyrage.x25519.Recipient.from_str(plan.records.recipient)])
    assert pyrage.decrypt(sealed, [pyrage.x25519.Identity.from_str(key.read_text().strip())]) == b"x"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert "AGE-SECRET" not in (tmp_path / "site.migrate-support.yml").read_text()


def test_a_key_elsewhere_has_its_whole_path(tmp_path: Path) -> None:
    (tmp_path / "fleet").mkdir()
    (tmp_path / "keys").mkdir()
    begin(fleet_in(tmp_path / "fleet", openai=("gpt-4o",)), "support", tmp_path / "keys" / "m.key")
    text = (tmp_path / "fleet" / "site.migrate-support.yml").read_text()
    assert f'identity: "file:{tmp_path}/keys/m.key"' in text


def test_without_a_key_both_keys_are_left_to_the_operator(tmp_path: Path) -> None:
    fleet = fleet_in(tmp_path, openai=("gpt-4o",))
    begin(fleet, "support")
    with pytest.raises(FleetError) as caught:
        read_plan(fleet, "support")
    missing = [problem.where.partition(" ")[2] for problem in caught.value.problems]
    assert missing[1:3] == ["records.recipient", "records.identity"]


def test_other_clouds_are_named_in_a_comment(tmp_path: Path) -> None:
    begin(fleet_in(tmp_path, openai=("gpt-4o",), azure=("x",), groq=("y",)), "support")
    assert "cloud: openai                # or azure, groq" in (tmp_path / "site.migrate-support.yml").read_text()


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True)


def test_a_key_that_git_would_track_is_refused_and_an_ignored_one_is_not(tmp_path: Path) -> None:
    git(tmp_path, "init")
    fleet = fleet_in(tmp_path, openai=("gpt-4o",))
    with pytest.raises(UsageError, match=r"m\.key: git would track this file"):
        begin(fleet, "support", tmp_path / "m.key")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".git"]
    (tmp_path / ".gitignore").write_text("*.key\n")
    begin(fleet, "support", tmp_path / "m.key")
    assert (tmp_path / "m.key").exists()


def test_without_git_a_key_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, **__: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr("subprocess.run", gone)
    begin(fleet_in(tmp_path, openai=("gpt-4o",)), "support", tmp_path / "m.key")
    assert (tmp_path / "m.key").exists()


@pytest.mark.parametrize("existing", ["site.migrate-support.yml", "m.key"])
def test_nothing_is_overwritten_and_nothing_else_written(tmp_path: Path, existing: str) -> None:
    (tmp_path / existing).write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        begin(fleet_in(tmp_path, openai=("gpt-4o",)), "support", tmp_path / "m.key")
    assert [path.name for path in tmp_path.iterdir()] == [existing]
    assert (tmp_path / existing).read_text() == "mine"


def test_what_cannot_be_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no clouds(.|\n)*next: add it, then rackwright migrate init"):
        begin(fleet_in(tmp_path), "support")
    fleet = fleet_in(tmp_path, openai=("gpt-4o",))
    with pytest.raises(UsageError, match="its folder doesn't exist"):
        begin(fleet, "support", tmp_path / "none" / "m.key")
    with pytest.raises(UsageError, match="is no name of a migration"):
        begin(fleet, "Support")
    assert [*tmp_path.iterdir()] == []


def test_if_the_plan_cannot_be_written_no_key_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> str:
        raise RackwrightError("can't be written: No space left on device")

    monkeypatch.setattr(new_migration, "new_plan", full)
    with pytest.raises(RackwrightError, match="No space left"):
        begin(fleet_in(tmp_path, openai=("gpt-4o",)), "support", tmp_path / "m.key")
    assert [*tmp_path.iterdir()] == []


def test_the_command_says_what_it_wrote_and_what_comes_next(desk: Desk) -> None:
    ran = rackwright("-f", desk.path, "migrate", "init", "batch", "--new-key", desk.folder / "m.key")
    assert ran.exit_code == 0
    plan = desk.folder / "site.migrate-batch.yml"
    assert ran.stdout.splitlines() == [
        f"{plan} written.",
        f"{desk.folder}/m.key written: the only key that reads the records. Keep a copy in a safe place.",
        "next: fill in the keys without a value, then rackwright migrate status batch",
    ]
    ran = rackwright("-f", desk.path, "migrate", "init", "other", "--json")
    assert ran.document == {"plan": str(desk.folder / "site.migrate-other.yml"), "key": None}
    ran = rackwright("-f", desk.path, "migrate", "init", "batch")
    assert ran.exit_code == 2
    assert "init never overwrites a file\n  next: rackwright migrate status batch" in ran.stderr


def test_a_plan_or_key_that_was_written_in_part_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the same command would refuse to overwrite it, and nobody could use it."""
    fleet = fleet_in(tmp_path, openai=("gpt-4o",))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(RackwrightError, match="No space left"):
        begin(fleet, "support")
    with pytest.raises(RackwrightError, match="No space left"):
        begin(fleet, "support", tmp_path / "m.key")
    assert [*tmp_path.iterdir()] == []


def test_a_key_with_quotes_in_its_name_is_found_and_one_that_is_no_text_refused(tmp_path: Path) -> None:
    fleet = fleet_in(tmp_path, openai=("gpt-4o",))
    begin(fleet, "support", tmp_path / "it's \"m\\.key")
    text = (tmp_path / "site.migrate-support.yml").read_text()
    identity = next(line for line in text.splitlines() if line.startswith("  identity:"))
    # In double quotes, YAML is written as JSON.
    assert json.loads(identity.partition(": ")[2]) == "file:it's \"m\\.key"
    with pytest.raises(UsageError, match="has a character that no plan can name"):
        begin(fleet, "other", tmp_path / "m\udcff.key")

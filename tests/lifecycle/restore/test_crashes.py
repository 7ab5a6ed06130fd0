"""A controller that dies before any command of a restore: no part is missing, and it can be completed or undone."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from rackwright.errors import HostError
from rackwright.lifecycle.restore import in_place
from rackwright.lifecycle.restore.in_place import Restored, restore_host
from rackwright.lifecycle.restore.plan import HostPlan
from rackwright.state.journal import open_rollout, parse_journal
from tests.lifecycle.restore.conftest import HERE, KEY, SAVED
from tests.lifecycle.restore.host import Bench, Killed, Machine, _Lease

GOLDEN = f"golden/assistant/{KEY}.json"


@dataclass
class Dying:
    """Restores of one host from files that restic has restored once."""

    bench: Bench
    plan: HostPlan
    original: Path

    def again(self) -> None:
        """Give the host its state from before the restore."""
        var = self.bench.saved.var
        shutil.rmtree(var)
        shutil.copytree(self.original, var)
        self.bench.machine.kill_at = None
        self.bench.machine.commands.clear()

    def restore(self) -> Restored:
        self.bench.machine.commands.clear()
        machine = self.bench.machine
        lease = _Lease(machine, lambda: None)
        return restore_host(self.bench.session, cast(Any, lease), self.plan, self.bench.console, lambda: False)

    def die_at(self, command: int) -> None:
        self.again()
        self.bench.machine.kill_at = command
        with pytest.raises(Killed):
            self.restore()
        self.bench.machine.kill_at = None


@pytest.fixture
def dying(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Dying:
    with bench.ways() as ways:
        plan = bench.plan(ways)
    original = bench.saved.root.parent / "original"
    shutil.copytree(bench.saved.var, original)
    made = Dying(bench, plan, original)
    kept = bench.saved.root.parent / "restored"

    def stopped(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch, contextlib.suppress(Killed):
        patch.setattr(in_place, "without_strange", stopped)
        made.restore()
    (staged,) = bench.machine.restores.glob("one-*")
    shutil.copytree(staged / "files", kept)

    def staged_again(machine: Machine, *_: object) -> None:
        machine.run(":")
        shutil.copytree(kept, staged / "files", dirs_exist_ok=True)

    monkeypatch.setattr(in_place, "stage", staged_again)
    return made


def test_a_controller_that_dies_before_any_command_leaves_a_host_that_the_same_restore_completes(
    dying: Dying,
) -> None:
    dying.again()
    dying.restore()
    commands = len(dying.bench.machine.commands)
    assert commands > 9
    for command in range(commands):
        dying.die_at(command)
        dying.bench.machine.put({"golden/assistant/since.json": "since"})
        assert dying.restore().closed in ("r1", None)
        files = dying.bench.machine.files
        assert files[GOLDEN] == SAVED[GOLDEN], command
        assert files["evidence/e1/journal"] == SAVED["evidence/e1/journal"]
        assert files["golden/assistant/mine.json"] == "only here"
        assert files["golden/assistant/since.json"] == "since"
        assert files["control/lease"] == "mine"
        assert open_rollout(parse_journal(files["control/journal"], "gate1")) is None
        assert [path.name for path in dying.bench.machine.restores.iterdir()] == ["before"]
        assert set(dying.bench.undo()) == {"golden", "evidence"}
        assert dying.bench.machine.files[GOLDEN] == HERE[GOLDEN], f"undone after {command}"


def test_a_controller_that_dies_before_any_command_leaves_a_host_that_an_undo_reverts(dying: Dying) -> None:
    dying.again()
    dying.restore()
    for command in range(len(dying.bench.machine.commands)):
        dying.die_at(command)
        journal = parse_journal(dying.bench.machine.files["control/journal"], "gate1")
        assert open_rollout(journal) is None, "it would refuse the next command"
        with contextlib.suppress(HostError):
            dying.bench.undo()
        files = dying.bench.machine.files
        assert (files[GOLDEN], files["golden/assistant/mine.json"]) == (HERE[GOLDEN], "only here"), command
        assert "evidence/e1/journal" not in files
        with pytest.raises(HostError, match="no restore to undo"):
            dying.bench.undo()


def test_another_restore_after_a_killed_one_keeps_what_only_the_host_has(dying: Dying) -> None:
    dying.again()
    dying.restore()
    for command in range(4, len(dying.bench.machine.commands)):
        dying.die_at(command)
        for staged in dying.bench.machine.restores.glob("one-*"):
            # As if the killed one had been of another snapshot.
            staged.rename(staged.with_name("two-0123456789abcdef"))
        dying.restore()
        files = dying.bench.machine.files
        assert (files[GOLDEN], files["golden/assistant/mine.json"]) == (SAVED[GOLDEN], "only here"), command
        assert [path.name for path in dying.bench.machine.restores.iterdir()] == ["before"]

"""A run promotes a lock: whose checkout is older, and whose isn't."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from rackwright.errors import LeasedError
from rackwright.state.applied import (
    About,
    Applied,
    applied_from,
    lock_in,
    read_applied,
    stale_checkout,
    write_applied,
)
from rackwright.state.checkout import checkout, in_head
from rackwright.state.replaced_locks import digest, following
from tests.shells import LocalShell
from tests.state.test_applied import (
    WHEN,
    FilesOnly,
    commit,
    git,
    site,  # noqa: F401 (a fixture)
)

FIRST, SECOND, THIRD = (f"format: lock/1\n# {name}\n" for name in ("first", "second", "third"))


class Fleet:
    """An operator's checkout, the tool's copy without git, and what the control hosts keep."""

    def __init__(self, kept: FilesOnly, folder: Path) -> None:
        self.here, self.lock = kept, kept.path.with_suffix(".lock")
        self.lock.write_text(FIRST)
        self.first = commit(kept.path.parents[1], "the first lock")
        self.tool = FilesOnly(folder / "tool/inventory/site.yml", folder / "tool/base.yml")
        self.applied: Applied | None = None

    def apply(self) -> None:
        now = applied_from(checkout(self.here), who="ben@desk", run="r1", when=WHEN)
        self.applied = following(now, self.applied, promotes=False)

    def promote(self, lock: str, *, on: FilesOnly | None = None, run: str = "r2") -> Applied:
        """Let the tool, or an operator, end a run with this lock."""
        if on is None:
            on = self.tool
            assert self.applied
            for name, content in self.applied.files.items():
                path = on.path.parents[1] / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        on.path.with_suffix(".lock").write_text(lock)
        now = applied_from(checkout(on), who="nightly@ctl1", run=run, when=WHEN)
        self.applied = following(now, self.applied, promotes=True)
        return self.applied

    def look(self, *, ours: bool = False) -> str | None:
        return stale_checkout(self.applied, checkout(self.here), ours=ours)

    def refused(self) -> None:
        with pytest.raises(LeasedError) as caught:
            self.look()
        (problem,) = caught.value.problems
        assert problem.what.startswith("this lock was replaced by one that nightly@ctl1 applied at 2026-11-25T04:05")
        assert (problem.where, problem.next) == (str(self.lock), "rackwright lock --applied")
        assert caught.value.exit_code == 11


@pytest.fixture
def fleet(site: FilesOnly, tmp_path: Path) -> Fleet:  # noqa: F811
    git(site.path.parents[1], "init", "-q")
    made = Fleet(site, tmp_path)
    made.apply()
    return made


def test_a_checkout_with_the_former_lock_is_refused(fleet: Fleet) -> None:
    about = fleet.promote(SECOND).about
    assert (about.commit, about.dirty, about.only_lock) == (fleet.first, True, True)
    assert (about.inside, about.replaced) == ("inventory/site.yml", (digest(FIRST.encode()),))
    fleet.refused()


def test_also_if_its_fleet_file_was_changed_since(fleet: Fleet) -> None:
    fleet.promote(SECOND)
    fleet.here.path.write_text("fleet: acme\ntimezone: Asia/Tokyo\n")
    fleet.refused()
    commit(fleet.here.path.parent, "Tokyo")
    fleet.refused()


def test_with_the_promoted_lock_it_may_change_on_without_a_question(fleet: Fleet) -> None:
    fleet.promote(SECOND)
    fleet.here.path.write_text("fleet: acme\ntimezone: Asia/Tokyo\n")
    fleet.lock.write_text(SECOND)
    assert fleet.look() is None
    commit(fleet.here.path.parent, "Tokyo, and the promoted lock")
    fleet.lock.write_text(THIRD)
    assert fleet.look() is None


def test_who_goes_back_to_the_former_lock_on_purpose_may(fleet: Fleet) -> None:
    fleet.promote(SECOND)
    fleet.lock.write_text(SECOND)
    commit(fleet.here.path.parent, "the promoted lock")
    fleet.lock.write_text(FIRST)
    assert fleet.look() is None


def test_a_lock_of_which_nobody_knows_whether_it_is_newer_is_asked_about(fleet: Fleet) -> None:
    fleet.promote(SECOND)
    fleet.lock.write_text(THIRD)
    shown = fleet.look()
    assert shown is not None
    assert "-# second\n+# third" in shown


def test_each_former_lock_is_refused_after_several_promotions(fleet: Fleet) -> None:
    fleet.promote(SECOND)
    fleet.promote(THIRD, run="r3")
    fleet.refused()
    fleet.lock.write_text(SECOND)
    fleet.refused()


def test_a_rollback_makes_the_lock_before_the_applied_one_again(fleet: Fleet) -> None:
    fleet.promote(SECOND)
    about = fleet.promote(FIRST, run="r3").about
    assert about.replaced == (digest(SECOND.encode()),)
    assert fleet.look() is None
    fleet.lock.write_text(SECOND)
    fleet.refused()


def test_a_promotion_on_an_operators_machine_counts_like_the_tools(fleet: Fleet, tmp_path: Path) -> None:
    colleague = tmp_path / "colleague"
    shutil.copytree(fleet.here.path.parents[1], colleague)
    git(colleague, "commit", "-q", "--allow-empty", "-m", "something else")
    on = FilesOnly(colleague / "inventory/site.yml", colleague / "base.yml")
    about = fleet.promote(SECOND, on=on).about
    assert (about.commit, about.only_lock) == (fleet.first, True), "nobody needs the colleague's commit for that"
    fleet.refused()


def test_a_promotion_with_other_changes_is_a_commit_of_its_own(fleet: Fleet) -> None:
    fleet.here.path.write_text("fleet: acme\ntimezone: Asia/Tokyo\n")
    second = commit(fleet.here.path.parent, "Tokyo")
    about = fleet.promote(SECOND, on=fleet.here).about
    assert (about.commit, about.dirty, about.only_lock) == (second, True, False)
    assert about.replaced == (digest(FIRST.encode()),)


def test_after_a_rollback_the_lock_in_between_is_allowed_once_its_return_is_committed(fleet: Fleet) -> None:
    fleet.promote(SECOND)
    fleet.promote(FIRST, run="r3")
    fleet.lock.write_text(SECOND)
    commit(fleet.here.path.parent, "what was promoted first")
    fleet.refused()
    fleet.lock.write_text(FIRST)
    commit(fleet.here.path.parent, "the rollback")
    fleet.lock.write_text(SECOND)
    assert fleet.look() is None


def test_a_later_apply_forgets_no_replaced_lock(fleet: Fleet) -> None:
    fleet.promote(SECOND)
    fleet.lock.write_text(SECOND)
    fleet.apply()
    assert fleet.applied
    assert (fleet.applied.about.replaced, fleet.applied.about.only_lock) == ((digest(FIRST.encode()),), False)
    git(fleet.here.path.parent, "checkout", "-q", ".")
    with pytest.raises(LeasedError, match="lock --applied"):
        fleet.look()


def test_a_repeated_promotion_changes_nothing_more(fleet: Fleet) -> None:
    once = fleet.promote(SECOND)
    assert fleet.promote(SECOND) == once


def test_without_git_the_former_lock_is_refused_unless_it_is_a_later_edit(site: FilesOnly) -> None:  # noqa: F811
    lock = site.path.with_suffix(".lock")
    lock.write_text(FIRST)
    before = applied_from(checkout(site), who="ben@desk", run="r1", when=WHEN)
    lock.write_text(SECOND)
    now = applied_from(checkout(site), who="nightly@ctl1", run="r2", when=WHEN)
    applied = following(now, before, promotes=True)
    assert (applied.about.commit, applied.about.inside, applied.about.only_lock) == (None, None, False)
    lock.write_text(FIRST)
    with pytest.raises(LeasedError, match="lock --applied"):
        stale_checkout(applied, checkout(site))
    assert "+# first" in str(stale_checkout(applied, checkout(site), ours=True))


def test_without_a_lock_there_is_none_to_refuse(fleet: Fleet) -> None:
    fleet.promote(SECOND)
    fleet.lock.unlink()
    assert "-# second" in str(fleet.look())
    nothing = replace(fleet.applied, files={"inventory/site.yml": b"fleet: acme\n"})  # type: ignore[type-var]
    assert lock_in(nothing) is None
    assert following(nothing, fleet.applied, promotes=True).about.replaced[-1] == digest(SECOND.encode())
    fleet.applied = nothing
    fleet.lock.write_text(FIRST)
    with pytest.raises(LeasedError):
        fleet.look()


def test_what_an_earlier_version_applied_has_no_replaced_locks(fleet: Fleet, tmp_path: Path) -> None:
    assert fleet.applied
    write_applied(LocalShell(), fleet.promote(SECOND), folder=str(tmp_path / "var"))
    assert read_applied(LocalShell(), folder=str(tmp_path / "var")) == fleet.applied
    known = json.loads((tmp_path / "var/fleet/applied.json").read_text())
    old = {name: known[name] for name in ("format", "fleet_file", "commit", "dirty", "who", "run", "when")}
    about = About.model_validate_json(json.dumps(old))
    assert (about.replaced, about.only_lock, about.inside) == ((), False, None)


def test_the_list_of_replaced_locks_is_bounded(fleet: Fleet) -> None:
    for number in range(60):
        fleet.promote(f"format: lock/1\n# {number}\n")
    assert fleet.applied
    assert len(fleet.applied.about.replaced) == 50
    assert fleet.applied.about.replaced[-1] == digest(b"format: lock/1\n# 58\n")


def test_what_the_commit_has_is_read_byte_by_byte(fleet: Fleet, tmp_path: Path) -> None:
    fleet.lock.write_text(SECOND)
    assert in_head(fleet.lock) == FIRST.encode()
    assert in_head(fleet.lock.with_name("other.lock")) is None
    assert in_head(tmp_path / "site.lock") is None

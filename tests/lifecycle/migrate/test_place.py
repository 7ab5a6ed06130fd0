"""A migration's place: notes survive kills, two machines don't both go on, and the lease is taken for a moment."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rackwright.errors import ExitCode, FleetError, HostError, LeasedError, RackwrightError, SecretError, UsageError
from rackwright.lifecycle.migrate import place as places
from rackwright.lifecycle.migrate.cutover.unleased import note_unleased
from rackwright.lifecycle.migrate.same_folder import Known, known
from rackwright.migrate.plan.plan_file import read_plan
from rackwright.state.audit import read_audit
from rackwright.state.journal import Event
from rackwright.state.lease import Owner
from rackwright.state.lease_session import hold
from rackwright.values.base import Stored
from tests.lifecycle.migrate.desks import IDENTITY, Counting, Desk, Dies

BEN = Owner(who="ben@desk", machine="desk", why="patch run", run="20261125T040501Z-ffff")
Desks = Callable[..., Desk]


class Found(Stored):
    format: str = "found/1"
    pairs: int = 0


def steps(desk: Desk) -> list[str]:
    return [one.step for one in desk.open().entries()]


def test_a_note_is_in_the_log_with_its_result_and_in_the_audit_log(desk: Desk) -> None:
    place = desk.open()
    assert place.entries() == ()
    assert place.result("score", Found) is None
    place.note("score", "12 of 12 segments passed", Found(pairs=40))
    again = desk.open()
    first, last = again.entries()
    assert (first.step, last.step, last.who, last.machine) == ("init", "score", "anna@laptop", "laptop")
    assert last.what == "12 of 12 segments passed"
    assert again.result("score", Found) == Found(pairs=40) == place.result("score", Found)
    act = read_audit(desk.hosts.connection("gate1"), folder=desk.hosts.connection("gate1").var).acts[-1]
    assert (act.command, act.what) == ("migrate score support", "score: 12 of 12 segments passed")
    # The lease was taken for this moment only.
    assert desk.store.show() is None


def test_the_newest_result_counts(desk: Desk) -> None:
    place = desk.open()
    for number in range(3):
        place.note("score", f"try {number}", Found(pairs=number))
    place.note("score", "stopped before its end")
    assert desk.open().result("score", Found) == Found(pairs=2)


def test_a_note_is_one_line_whatever_it_says(desk: Desk) -> None:
    desk.open().note("import", "evil\x1b[2J\nname" + "x" * 5000)
    (said,) = [one.what for one in desk.open().entries() if one.step == "import"]
    assert said.startswith("evil [2J namex")
    assert len(said) == 1000


@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_a_first_note_that_is_killed_leaves_the_old_state_or_the_new_one(
    desk: Desk, number: int, written: bool
) -> None:
    """It writes two entries with their heads, and a result."""
    whole, desk.store = desk.store, Counting(desk.store, number, written=written)
    with pytest.raises(Dies):
        desk.open().note("replay", "asked", Found(pairs=1))
    desk.store = whole
    now = steps(desk)
    assert now == (
        [] if (number, written) < (1, True) else ["init"] if (number, written) < (4, True) else ["init", "replay"]
    )
    assert desk.open().result("replay", Found) == (Found(pairs=1) if "replay" in now else None)
    # The next one goes on.
    desk.store = counting = Counting(whole)
    desk.open().note("score", "goes on", Found(pairs=2))
    assert counting.writes >= 3
    assert desk.open().result("score", Found) == Found(pairs=2)
    assert steps(desk) == [*(now or ["init"]), "score"]


def test_of_two_machines_the_second_is_refused_and_hears_of_the_first(desk_of: Desks) -> None:
    anna, ben = desk_of("anna", "laptop"), desk_of("ben", "desk")
    place, other = anna.open(), ben.open()
    place.note("replay", "200 asked", Found(pairs=1))
    with pytest.raises(LeasedError, match="anna@laptop on laptop added 'replay: 200 asked' to support") as caught:
        other.note("replay", "180 asked", Found(pairs=2))
    assert caught.value.exit_code == ExitCode.LEASED
    assert caught.value.problems[0].next == "rackwright migrate status support, then the same command again"
    assert ben.open().result("replay", Found) == Found(pairs=1)
    # Having read it, the second goes on.
    ben.open().note("replay", "180 asked", Found(pairs=2))
    assert steps(anna) == ["init", "replay", "replay"]


def test_a_command_minds_only_the_steps_that_it_says(desk_of: Desks) -> None:
    anna, ben = desk_of("anna", "laptop"), desk_of("ben", "desk")
    place, other = anna.open(), ben.open()
    place.minds = frozenset({"rollback"})
    other.note("shadow", "PASS", Found(pairs=1))
    place.note("cutover", "to 5 %", Found(pairs=2))
    assert [entry.step for entry in place.entries()] == ["init", "shadow", "cutover"]
    assert steps(ben) == ["init", "shadow", "cutover"]
    ben.open().note("rollback", "gate1")
    with pytest.raises(LeasedError, match="added 'rollback: gate1'"):
        place.note("cutover", "5 %", Found(pairs=3))


def test_an_entry_that_takes_the_number_is_followed(desk_of: Desks, monkeypatch: pytest.MonkeyPatch) -> None:
    anna, ben = desk_of("anna", "laptop"), desk_of("ben", "desk")
    place, first = anna.open(), places.add

    def late(*words: Any) -> Any:
        monkeypatch.setattr(places, "add", first)
        note_unleased(ben.session, "support", "pause", "the provider has an incident")
        return first(*words)

    place.note("cutover", "to 5 %", Found(pairs=2))
    place.minds = frozenset({"rollback"})
    monkeypatch.setattr(places, "add", late)
    place.note("cutover", "5 %", Found(pairs=3))
    assert steps(anna) == ["init", "cutover", "pause", "cutover"]


def test_a_log_that_was_replaced_is_refused(desk_of: Desks) -> None:
    anna, ben = desk_of("anna", "laptop"), desk_of("ben", "desk")
    place = anna.open()
    place.note("assess", "all ok")
    var = Path(anna.hosts.connection("gate1").var)
    shutil.rmtree(var / "migrations")
    ben.open().note("assess", "all ok")
    with pytest.raises(RackwrightError, match="isn't the one that this command started from"):
        place.note("replay", "asked")


def test_a_lease_of_another_operator_is_waited_for_and_then_refused(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "LEASE_WAIT", 0.0)
    place = desk.open()
    with hold(desk.store, BEN), pytest.raises(LeasedError, match="leased by ben@desk") as caught:
        place.note("replay", "asked")
    assert caught.value.exit_code == ExitCode.LEASED
    assert caught.value.problems[0].next == "rackwright migrate replay support"
    place.note("replay", "asked")
    assert steps(desk) == ["init", "replay"]


def test_while_it_waits_it_says_for_whom_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    place, waits = desk.open(), []
    with hold(desk.store, BEN) as theirs:

        class Wait:
            def wait(self, seconds: float) -> None:
                waits.append(seconds)
                if len(waits) == 2:
                    desk.store.release(theirs.lease)

        monkeypatch.setattr(places, "Event", Wait)
        place.note("replay", "asked")
    assert waits == [places.POLL_SECONDS] * 2
    assert [text for text in desk.said if "waiting" in text] == [
        next(text for text in desk.said if text.startswith("waiting for the lease: the fleet is leased by ben@desk"))
    ]
    assert steps(desk) == ["init", "replay"]


def test_an_open_rollout_does_not_matter(desk: Desk) -> None:
    with hold(desk.store, BEN) as theirs:
        theirs.write(Event.OPENED, BEN.run, detail="model update assistant")
    desk.open().note("replay", "asked")
    assert steps(desk) == ["init", "replay"]


def test_the_folder_is_private_and_neither_git_nor_a_kit_has_it(desk: Desk) -> None:
    desk.open().folder.write("requests", ['{"id": 1}'])
    assert stat.S_IMODE(desk.records.stat().st_mode) == 0o700
    assert (desk.records / ".gitignore").read_text() == "*\n"


def test_without_a_control_host_nothing_is_noted_and_the_same_command_goes_on(desk: Desk) -> None:
    place = desk.open()
    place.folder.write("requests", ['{"id": 1}'])
    desk.hosts.connection("gate1").gone = True
    with pytest.raises(HostError):
        place.note("import", "1 request")
    desk.hosts.connection("gate1").gone = False
    place.note("import", "1 request")
    assert [*desk.open().folder.read("requests")] == ['{"id": 1}']


def test_the_private_key_is_needed_only_to_read(desk: Desk) -> None:
    (desk.folder / "identity").unlink()
    place = desk.open()
    place.folder.write("requests", ['{"id": 1}'])
    place.note("import", "1 request")
    with pytest.raises(SecretError, match=r"records\.identity"):
        [*place.folder.read("requests")]


def test_a_folder_that_another_machine_had_is_needed_whole(desk_of: Desks) -> None:
    anna, ben = desk_of("anna", "laptop"), desk_of("ben", "desk")
    place = anna.open()
    place.folder.write("requests", ['{"id": 1}'])
    assert known(place.folder, place.log) is Known.NEW
    place.note("import", "1 request")
    assert known(place.folder, place.log) is Known.SAME
    other = ben.open()
    assert known(other.folder, other.log) is Known.ABSENT
    with pytest.raises(RackwrightError, match=r"isn't on this machine; anna@laptop had it on laptop: copy it"):
        other.need_folder()
    shutil.copytree(anna.records, ben.records)
    other = ben.open()
    other.need_folder()
    (ben.records / "requests-000001.jsonl.age").write_bytes(b"x")
    with pytest.raises(RackwrightError, match=r"requests-000001\.jsonl\.age: was changed"):
        other.need_folder()


def test_two_folders_do_not_both_go_on(desk_of: Desks) -> None:
    anna, ben = desk_of("anna", "laptop"), desk_of("ben", "desk")
    place = anna.open()
    place.folder.write("requests", ['{"id": 1}'])
    place.note("import", "1 request")
    other = ben.open()
    other.folder.write("requests", ['{"id": 2}'])
    for refused in (other.need_folder, lambda: other.note("import", "1 request")):
        with pytest.raises(RackwrightError, match="isn't the folder that the log knows, or an older copy"):
            refused()
    assert steps(anna) == ["init", "import"]


def test_a_copy_goes_on_where_it_was_killed(desk_of: Desks) -> None:
    """What was asked before the kill is in the folder, and no entry knows it yet."""
    anna, ben = desk_of("anna", "laptop"), desk_of("ben", "desk")
    place = anna.open()
    place.folder.write("requests", ['{"id": 1}'])
    place.note("import", "1 request")
    shutil.copytree(anna.records, ben.records)
    # As if the first one had been killed right after its note.
    (ben.records / "known.json").unlink()
    ben.open().folder.write("answers-cloud", ['{"request": 1}'])
    again = ben.open()
    assert known(again.folder, again.log) is Known.AHEAD
    again.need_folder()
    again.note("replay", "1 asked")
    # Now the first one's folder is the older copy.
    with pytest.raises(RackwrightError, match="isn't the folder that the log knows, or an older copy"):
        anna.open().note("score", "none")


def test_a_machine_without_the_folder_can_note_what_needs_none(desk_of: Desks) -> None:
    anna, ben = desk_of("anna", "laptop"), desk_of("ben", "desk")
    place = anna.open()
    place.folder.write("requests", ['{"id": 1}'])
    place.note("import", "1 request")
    ben.open().note("capture", "started")
    again = anna.open()
    assert known(again.folder, again.log) is Known.SAME
    again.need_folder()


def test_without_a_plan_it_says_how_to_get_one(desk: Desk) -> None:
    desk.plan.unlink()
    with pytest.raises(UsageError, match="there is no migration plan") as caught:
        desk.open()
    assert caught.value.problems[0].next == (
        "rackwright migrate init support; or rackwright migrate status, which lists the migrations that exist"
    )
    with pytest.raises(UsageError, match="is no name of a migration"):
        places.open_place(desk.session, "../evil", desk)  # type: ignore[arg-type]


def test_a_plan_with_problems_is_refused_before_anything_is_asked(desk: Desk) -> None:
    desk.edit("budget: 50", "budget: none")
    desk.hosts.connection("gate1").gone = True
    with pytest.raises(FleetError, match=r"site\.migrate-support\.yml:9 replay\.budget"):
        desk.open()


def test_a_recipient_with_a_wrong_letter_is_refused(desk: Desk) -> None:
    """Otherwise an import or a capture would read a whole log before it fails."""
    right = str(IDENTITY.to_public())
    desk.edit(right, right[:-1] + ("q" if right[-1] != "q" else "p"))
    with pytest.raises(FleetError, match=r"records\.recipient: is no public key of age: its checksum is wrong"):
        desk.open()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("currency: EUR", "score: {golden: ~nobody-here/x}\ncurrency: EUR"),
        ("  identity:", "  folder: ~nobody-here/x\n  identity:"),
    ],
)
def test_a_home_that_nobody_has_is_refused(desk: Desk, old: str, new: str) -> None:
    desk.edit(old, new)
    with pytest.raises(FleetError, match="begins with ~ and no known user's name"):
        desk.open()


def test_a_private_key_in_such_a_home_is_refused(desk: Desk) -> None:
    desk.edit("file:identity", "file:~nobody-here/x")
    desk.open().folder.write("requests", ["text"])
    with pytest.raises(SecretError, match="begins with ~ and no known user's name"):
        list(desk.open().folder.read("requests"))


def test_two_migrations_in_one_folder_are_refused(desk: Desk) -> None:
    """Each would erase the other's records."""
    text = desk.plan.read_text()
    other = desk.plan.with_name(desk.plan.name.replace("support", "other"))
    other.write_text(text.replace("migration: support", "migration: other"))
    desk.edit("  identity:", f'  folder: "{other.stem}"\n  identity:')
    with pytest.raises(FleetError, match=r"records\.folder: is also the folder of .*migrate-other\.yml"):
        desk.open()
    other.write_text("migration: [")
    desk.open()


def test_a_folder_that_another_migration_has_by_default_is_found_by_relative_paths_too(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = desk.plan.with_name(desk.plan.name.replace("support", "other"))
    other.write_text(desk.plan.read_text().replace("migration: support", "migration: other"))
    desk.edit("  identity:", f'  folder: "{other.stem}"\n  identity:')
    monkeypatch.chdir(desk.plan.parent.parent)
    fleet = replace(desk.session.fleet, path=desk.session.fleet.path.relative_to(desk.plan.parent.parent))
    with pytest.raises(FleetError, match=r"records\.folder: is also the folder of .*migrate-other\.yml"):
        read_plan(fleet, "support")


@pytest.mark.parametrize("folder", [".", "..", "x/..", "/"])
def test_a_folder_that_has_the_plan_in_it_is_refused(desk: Desk, folder: str) -> None:
    """Git, and the kit, would leave out all files of the fleet: the records' folder has a .gitignore."""
    desk.edit("  identity:", f'  folder: "{folder}"\n  identity:')
    with pytest.raises(FleetError, match=r"records\.folder: has the plan itself in it"):
        desk.open()

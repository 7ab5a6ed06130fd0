from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from rackwright.operations.facts.account import PeopleAccounts
from rackwright.operations.facts.packages import InstalledPackages
from rackwright.operations.facts.path_state import Existing, Found, PathState
from rackwright.operations.facts.people import Account, Accounts
from rackwright.roles.people.refusals import refusals
from rackwright.roles.people.role import people
from rackwright.roles.people.settings import AUDITORS, OPERATORS, PEOPLE, READERS, SUDOERS, Person, Settings
from tests.fakes import commands, play

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5jl8YHrR3iahxNpGp7yy9aWKyWFQ9mOS5fFZ6baY9d anna@laptop"
PRINT = "SHA256:Kf6S3Cwc4FMOpzVbgoQmV0n9ikLc2xn36N8KEcXr9Xo"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJWoefy+OJgh/Gry4TRVBduAOPhtMjuz688pQqw5fP7T ben@audit"
ANNA = Person(name="anna", role="operator", keys=(KEY,))
BEN = Person(name="ben", role="auditor", keys=(OTHER,), until=date(2027, 3, 31), full_name="Ben Okri")
SETTINGS = Settings(people=(ANNA, BEN), login="ops")

ANNA_THERE = Account("anna", 1001, "/home/anna", groups=frozenset(ANNA.groups), keys=(KEY,), keys_kept=True)
BEN_THERE = Account(
    "ben",
    1002,
    "/home/ben",
    full_name="Ben Okri",
    groups=frozenset(BEN.groups),
    expires=(date(2027, 4, 1) - date(1970, 1, 1)).days,
    keys=(OTHER,),
    keys_kept=True,
)
GROUPS = frozenset((PEOPLE, OPERATORS, AUDITORS, *READERS))


def facts(*there: Account, sudoers: str | None = None) -> dict[object, object]:
    return {
        PeopleAccounts: Accounts(GROUPS if there else frozenset(), {account.name: account for account in there}),
        InstalledPackages: {"sudo"},
        PathState: Found("regular file", 0o440, "root", "root", sudoers) if sudoers else None,
        Existing: (SUDOERS,) if there else (),
    }


def satisfied(*there: Account) -> dict[object, object]:
    import hashlib

    content = play(people, settings=SETTINGS, facts=facts()).uploads[f"{SUDOERS}.rackwright-new"]
    return facts(*there, sudoers=hashlib.sha256(content.encode()).hexdigest())


def changed(settings: Settings, *there: Account) -> list[str]:
    return play(people, settings=settings, facts=satisfied(*there)).changed


def test_a_fresh_host_gets_groups_rights_users_and_keys():
    ran = commands(people, settings=SETTINGS, facts=facts())
    assert [command.split()[-1] for command in ran if command.startswith("groupadd")] == [PEOPLE, OPERATORS, AUDITORS]
    assert any("visudo -c -f" in command and "chmod -- 0440" in command for command in ran)
    (anna, ben) = [command for command in ran if command.startswith("useradd")]
    assert anna == (
        "useradd --create-home --user-group --shell /bin/bash --password '*' "
        "--groups rackwright-people,rackwright-operators -- anna"
    )
    assert "--groups rackwright-people,rackwright-auditors,adm,systemd-journal" in ben
    assert "--comment 'Ben Okri' --expiredate 2027-04-01 -- ben" in ben
    assert [command.startswith(f"printf %s '{key}") for command, key in zip(ran[-3::2], (KEY, OTHER), strict=True)]


def test_a_second_run_changes_nothing():
    assert changed(SETTINGS, ANNA_THERE, BEN_THERE) == []


def test_no_people_no_change():
    assert commands(people, settings=Settings(login="ops"), facts=facts()) == []


@pytest.mark.parametrize(
    ("there", "command"),
    [
        (replace(ANNA_THERE, keys=(OTHER,)), "printf %s"),
        (replace(ANNA_THERE, keys=(KEY, OTHER)), "printf %s"),
        (replace(ANNA_THERE, keys=None), "printf %s"),
        (replace(ANNA_THERE, keys_kept=False), "printf %s"),
        (replace(ANNA_THERE, odd=True), "printf %s"),
        (replace(ANNA_THERE, locked=True), "usermod --password '*' -- anna"),
        (replace(ANNA_THERE, expires=1), "usermod --expiredate '' -- anna"),
        (replace(ANNA_THERE, shell="/usr/sbin/nologin"), "usermod --shell /bin/bash -- anna"),  # noqa: S604
        (replace(ANNA_THERE, groups=frozenset((PEOPLE,))), "usermod --append --groups rackwright-operators -- anna"),
    ],
)
def test_what_was_changed_by_hand_is_put_right_and_nothing_else(there, command):
    (ran,) = commands(people, settings=SETTINGS, facts=satisfied(there, BEN_THERE))
    assert ran.startswith(command)


def test_a_plan_names_keys_that_come_and_go_by_fingerprint():
    there = replace(ANNA_THERE, keys=(OTHER,))
    diff = play(people, settings=SETTINGS, facts=satisfied(there, BEN_THERE)).diffs["Give access to anna as operator"]
    assert [line.split()[0] for line in diff.splitlines()] == ["=", "-", "+"]
    assert diff.endswith("anna@laptop")
    assert "SHA256:" in diff
    assert "AAAA" not in diff


def test_a_role_that_was_taken_away_ends_sessions():
    there = replace(ANNA_THERE, groups=ANNA_THERE.groups | {AUDITORS})
    ran = commands(people, settings=SETTINGS, facts=satisfied(there, BEN_THERE))
    assert ran[0] == "gpasswd --delete anna rackwright-auditors"
    assert "loginctl terminate-user" in ran[1]


def test_who_left_is_locked_first_then_sessions_end_then_keys_go():
    ran = commands(people, settings=Settings(people=(ANNA,)), facts=satisfied(ANNA_THERE, BEN_THERE))
    assert ran[0] == "usermod --lock --expiredate 1 --groups rackwright-people -- ben"
    assert "loginctl terminate-user" in ran[1]
    assert ran[2].endswith("forget /home/ben")
    assert len(ran) == 3


OUT = replace(BEN_THERE, groups=frozenset((PEOPLE,)), locked=True, expires=1, keys=None)


@pytest.mark.parametrize(
    ("there", "out"),
    [
        (OUT, True),
        (replace(OUT, keys=()), True),
        (replace(OUT, keys=(OTHER,)), False),
        (replace(OUT, odd=True), False),
        (replace(OUT, locked=False), False),
        (replace(OUT, expires=None), False),
        (replace(OUT, expires=30000), False),
        (replace(OUT, groups=frozenset((PEOPLE, AUDITORS))), False),
    ],
)
def test_who_is_out_stays_out_and_is_put_out_again_if_anything_opened(there, out):
    assert (changed(Settings(people=(ANNA,)), ANNA_THERE, there) == []) is out


def test_users_of_others_and_those_left_alone_stay():
    foreign = replace(BEN_THERE, groups=frozenset())
    assert changed(Settings(people=(ANNA,)), ANNA_THERE, foreign) == []
    assert changed(Settings(people=(ANNA,), left_alone=("ben",)), ANNA_THERE, BEN_THERE) == []


def test_whoever_is_left_alone_keeps_the_rights():
    assert changed(Settings(left_alone=("anna",)), ANNA_THERE) == []


def test_with_the_last_person_the_rights_go():
    ran = commands(people, settings=Settings(), facts=satisfied(OUT))
    assert ran == [f"rm -rf --one-file-system -- {SUDOERS}"]


def test_refused_accounts_fail_before_they_are_touched():
    ours = frozenset[str]()
    for settings, there, words in (
        (Settings(people=(ANNA,)), replace(ANNA_THERE, groups=ours), "the host already has a user anna"),
        (Settings(login="ben"), BEN_THERE, "this command logs in as ben"),
    ):
        with pytest.raises(AssertionError, match="failed"):
            play(people, settings=settings, facts=satisfied(there), answers={words: {"success": False}})


@pytest.mark.parametrize(
    ("settings", "there", "key", "where", "what"),
    [
        (SETTINGS, replace(ANNA_THERE, groups=frozenset()), None, "people.anna",
         "the host already has a user anna (uid 1001, 1 SSH keys), not rackwright's"),
        (SETTINGS, replace(ANNA_THERE, groups=frozenset(), uid=999), None, "people.anna",
         "anna is a system user (uid 999)"),
        (SETTINGS.model_copy(update={"login": "ben"}), ANNA_THERE, None, "people.ben",
         "this command logs in as ben, but an auditor may not change anything"),
        (SETTINGS.model_copy(update={"login": "anna"}), ANNA_THERE, "SHA256:else", "people.anna.keys",
         "SHA256:else, which this command logs in with, is not among them"),
        (Settings(login="anna"), ANNA_THERE, PRINT, "people",
         "anna, the user that this command logs in as, has left: rackwright would be locked out"),
    ],
)  # fmt: skip
def test_what_would_take_a_strangers_account_or_shut_us_out_is_refused(settings, there, key, where, what):
    (problem,) = refusals(Accounts(GROUPS, {there.name: there}), settings, key)
    assert (problem.where, problem.what) == (where, what)


def test_adopted_ours_and_left_alone_accounts_are_not_refused():
    foreign = replace(ANNA_THERE, groups=frozenset())
    adopting = Settings(people=(ANNA.model_copy(update={"adopt": True}),))
    system = replace(foreign, uid=33)
    assert refusals(Accounts(GROUPS, {"anna": foreign}), adopting) == ()
    assert refusals(Accounts(GROUPS, {"anna": system}), adopting) != ()
    assert refusals(Accounts(GROUPS, {"anna": ANNA_THERE, "ben": BEN_THERE}), SETTINGS) == ()
    assert refusals(Accounts(GROUPS, {"anna": ANNA_THERE}), Settings(login="anna", left_alone=("anna",))) == ()

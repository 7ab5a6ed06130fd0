from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from rackwright.lifecycle.access.procedure import accounts
from rackwright.lifecycle.access.scripts import SCRIPT, HostAccess, Use, User, parse
from tests.fleet.fleets import make_fleet

ANNAS = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5jl8YHrR3iahxNpGp7yy9aWKyWFQ9mOS5fFZ6baY9d anna@laptop"
BENS = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJWoefy+OJgh/Gry4TRVBduAOPhtMjuz688pQqw5fP7T ben@audit"
TODAY = date(2026, 11, 25)
WHEN = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
PRINTED = f"""\
begins {WHEN.timestamp():.0f}.123456
other authorizedkeyscommand /usr/bin/sss_ssh_authorizedkeys
user root 0
user anna 1001
user ben 1002
key root # a comment
key root from="10.0.0.1" {BENS}
key anna {ANNAS}
password ben
sudo anna (ALL : ALL) NOPASSWD: ALL
login anna SHA256:gone {WHEN.timestamp():.0f}.5 10.0.0.9
login nobody SHA256:gone
"""


def prints(*lines: str) -> list[str]:
    printed = "\n".join(["user x 1000", *(f"key x {line}" for line in lines)])
    return list(parse(printed).users["x"].keys)


ANNAS_PRINT, BENS_PRINT = prints(ANNAS, BENS)


def test_what_the_script_prints_is_read():
    found = parse(PRINTED)
    assert found.begins == WHEN
    assert found.others == ("authorizedkeyscommand /usr/bin/sss_ssh_authorizedkeys",)
    assert found.users["root"] == User("root", 0, {BENS_PRINT: "ben@audit"})
    anna = found.users["anna"]
    assert anna.keys == {ANNAS_PRINT: "anna@laptop"}
    assert anna.sudo == ("(ALL : ALL) NOPASSWD: ALL",)
    assert anna.uses == {"SHA256:gone": Use(WHEN, "10.0.0.9")}
    assert found.users["ben"] == User("ben", 1002, password=True)


def test_the_script_runs_and_tells_no_hash():
    done = subprocess.run(["sh", "-s"], input=SCRIPT, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "user root 0" in done.stdout
    assert "$y$" not in done.stdout
    assert parse(done.stdout).users["root"].uid == 0


PERSON = {"role": "operator", "keys": [ANNAS]}
ANNA = User("anna", 1001, {ANNAS_PRINT: "anna@laptop"}, sudo=("(ALL : ALL) NOPASSWD: ALL",))


def reviewed(tmp_path, person, *users, own_key=None, **more):
    people = {"anna": {**PERSON, **(person or {}), **more}} if person is not None else {}
    fleet = make_fleet(tmp_path / "site.yml", people=people)
    access = HostAccess({user.name: user for user in users}, WHEN, ())
    return {one.user: one for one in accounts(fleet, "gpu1", access, own_key, TODAY)}


def test_a_person_as_the_fleet_file_says_has_no_remark_and_a_last_use(tmp_path):
    use = Use(WHEN, "10.0.0.9")
    anna = reviewed(tmp_path, {}, replace(ANNA, uses={ANNAS_PRINT: use}))["anna"]
    assert (anna.role, anna.remarks) == ("operator", ())
    (key,) = anna.keys
    assert (key.person, key.use) == ("anna", use)


UNKNOWN = "a key that isn't in the fleet file"
MISSING = "a key in the fleet file is not installed yet: next: rackwright apply"
AUDITS = "(root) NOEXEC: NOPASSWD: /usr/sbin/nft list ruleset, /usr/bin/ss -ltunp, /usr/sbin/sshd -T"


@pytest.mark.parametrize(
    ("person", "user", "remark"),
    [
        ({}, replace(ANNA, keys={**ANNA.keys, BENS_PRINT: ""}), f"{UNKNOWN}: {BENS_PRINT}"),
        ({}, replace(ANNA, keys={}, password=True), MISSING),
        ({}, None, MISSING),
        ({"until": "2026-11-24"}, ANNA, "access ended on 2026-11-24: next: rackwright apply"),
        ({"role": "auditor"}, ANNA, "an auditor with more rights by sudo: (ALL : ALL) NOPASSWD: ALL"),
        ({"on": "gate1"}, ANNA, "a person without access here in the fleet file: next: rackwright apply"),
        (None, ANNA, f"{UNKNOWN}: {ANNAS_PRINT} anna@laptop"),
        (None, replace(ANNA, keys={}, password=True), "a password is set"),
    ],
)  # fmt: skip
def test_what_the_fleet_file_does_not_say_is_a_remark(tmp_path, person, user, remark):
    assert remark in reviewed(tmp_path, person, *((user,) if user else ()))["anna"].remarks


def test_an_auditor_with_our_rights_has_no_remark(tmp_path):
    assert reviewed(tmp_path, {"role": "auditor"}, replace(ANNA, sudo=(AUDITS,)))["anna"].remarks == ()


def test_a_persons_key_at_another_account_is_named_as_theirs(tmp_path):
    shared = replace(ANNA, name="deploy")
    found = reviewed(tmp_path, {}, ANNA, shared)["deploy"]
    assert (found.role, found.keys[0].person, found.remarks) == ("-", "anna", ())


def test_the_key_that_asks_is_no_finding_at_its_own_account(tmp_path):
    key = {"SHA256:ours": "controller"}
    found = reviewed(tmp_path, None, User("root", 0, key), User("ops", 1000, key), own_key="SHA256:ours")
    assert found["root"].remarks == ()
    assert found["root"].sudo == ("everything: it is root",)
    assert found["ops"].remarks == ("a key that isn't in the fleet file: SHA256:ours controller",)


def test_accounts_that_nothing_opens_are_not_listed(tmp_path):
    assert reviewed(tmp_path, None, User("daemon", 1), ANNA).keys() == {"anna"}


def test_the_account_of_the_tool_is_marked(tmp_path):
    people = {"anna": PERSON, "nightly": {"role": "operator", "keys": [BENS]}}
    unattended = {"on": ["gate1"], "person": "nightly", "key": "file:nightly"}
    fleet = make_fleet(tmp_path / "site.yml", people=people, unattended=unattended)
    access = HostAccess({"anna": ANNA}, WHEN, ())
    found = {one.user: one.tool for one in accounts(fleet, "gpu1", access, None, TODAY)}
    assert found == {"anna": False, "nightly": True}

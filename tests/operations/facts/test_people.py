from __future__ import annotations

import getpass
import subprocess

import pytest

from rackwright.operations.facts.people import Accounts, parse_people, people_command

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5jl8YHrR3iahxNpGp7yy9aWKyWFQ9mOS5fFZ6baY9d anna@laptop"
PRINTED = f"""\
-- group
rackwright-people:x:990:anna,ben
rackwright-operators:x:991:anna
adm:x:4:ben,syslog
-- passwd
anna:x:1001:1001:Anna Lindqvist,,,:/home/anna:/bin/bash
ben:x:1002:1002::/home/ben:/usr/sbin/nologin
anna:x:1001:1001:Anna Lindqvist,,,:/home/anna:/bin/bash
-- shadow
anna:*:20000:0:99999:7:::
ben:!$y$hash:20000:0:99999:7::1:
-- odd
ben
-- stat
600 anna /home/anna/.ssh/authorized_keys
-- keys
/home/anna/.ssh/authorized_keys:{KEY}
/home/anna/.ssh/authorized_keys:-- odd
/home/anna/.ssh/authorized_keys:
"""


def test_accounts_groups_ends_and_keys_are_read():
    found = parse_people(PRINTED.splitlines())
    assert found.groups == {"rackwright-people", "rackwright-operators", "adm"}
    anna, ben = found.by_name["anna"], found.by_name["ben"]
    assert (anna.uid, anna.home, anna.full_name) == (1001, "/home/anna", "Anna Lindqvist")
    assert anna.groups == {"rackwright-people", "rackwright-operators"}
    assert (anna.locked, anna.expires, anna.keys_kept, anna.odd) == (False, None, True, False)
    assert anna.keys == (KEY, "-- odd", "")
    assert list(anna.fingerprints.values()) == ["anna@laptop"]
    assert (ben.locked, ben.expires, ben.keys, ben.odd, ben.out) == (True, 1, None, True, False)
    assert ben.groups == {"rackwright-people", "adm"}


@pytest.mark.parametrize("stat", ["644 anna", "600 root", "400 anna"])
def test_keys_that_are_not_the_users_own_and_0600_are_not_kept(stat):
    found = parse_people(PRINTED.replace("600 anna", stat).splitlines())
    assert not found.by_name["anna"].keys_kept


def test_a_host_where_nobody_was_let_in_has_no_accounts():
    assert parse_people(["-- group", ""]) == Accounts()


def test_the_command_tells_of_a_user_that_is_there_and_of_nobody_else():
    def asked(*names: str) -> Accounts:
        command = people_command(names)
        done = subprocess.run(["sh", "-euc", command], capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return parse_people(done.stdout.splitlines())

    me = getpass.getuser()
    assert list(asked(me, "nobody-of-that-name").by_name) == [me]
    assert asked().by_name == {}

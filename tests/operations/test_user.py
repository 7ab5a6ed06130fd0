from __future__ import annotations

import pytest

from rackwright.operations.facts.account import Account, GroupExists, UserAccount
from rackwright.operations.user import NO_SHELL, system_group, system_user
from tests.fakes import commands


def user() -> None:
    system_user(name="User", user="rw-a", groups=("rackwright",))


def group() -> None:
    system_group(name="Group", group="rackwright")


def test_a_user_is_made_without_home_and_shell() -> None:
    assert commands(user, facts={UserAccount: None}) == [
        "useradd --system --user-group --no-create-home --shell /usr/sbin/nologin --comment rackwright "
        "--home-dir /nonexistent --groups rackwright -- rw-a"
    ]


def test_a_user_as_it_should_be_is_left_with_its_other_groups() -> None:
    there = Account("/nonexistent", NO_SHELL, frozenset({"rw-a", "rackwright", "video"}))
    assert commands(user, facts={UserAccount: there}) == []


@pytest.mark.parametrize(
    "account",
    [
        Account("/nonexistent", "/bin/bash", frozenset({"rackwright"})),
        Account("/home/x", NO_SHELL, frozenset({"rackwright"})),
        Account("/nonexistent", NO_SHELL),
    ],
)
def test_a_user_that_differs_is_put_right(account: Account) -> None:
    (command,) = commands(user, facts={UserAccount: account})
    assert command == "usermod --shell /usr/sbin/nologin --home /nonexistent --append --groups rackwright -- rw-a"


def test_a_group_is_made_once() -> None:
    assert commands(group, facts={GroupExists: False}) == ["groupadd --system -- rackwright"]
    assert commands(group, facts={GroupExists: True}) == []


def test_an_account_is_read_from_getent_and_id() -> None:
    printed = ["rw-a:x:998:998:rackwright:/nonexistent:/usr/sbin/nologin", "rw-a rackwright"]
    assert UserAccount().process(printed) == Account("/nonexistent", NO_SHELL, frozenset({"rw-a", "rackwright"}))

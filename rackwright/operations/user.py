"""System users and groups that nobody logs in as."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra.api.command import PyinfraCommand, QuoteString, StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.facts.account import Account, GroupExists, UserAccount

COMMENT = "rackwright"
"""In the comment field of every user of ours: only such a user is ever removed (see retired.py)."""
NO_SHELL = "/usr/sbin/nologin"


@operation()
def system_group(*, group: str) -> Generator[PyinfraCommand]:
    """Afterwards the group is there."""
    if not host.get_fact(GroupExists, group=group):
        yield StringCommand("groupadd --system --", QuoteString(group))


@operation()
def system_user(*, user: str, groups: tuple[str, ...] = (), home: str = "/nonexistent") -> Generator[PyinfraCommand]:
    """Afterwards the user is there, with a group of its own, in these groups too, without a shell to log in with.

    `home` is written down, not made. Groups it has besides are left.
    """
    found = host.get_fact(UserAccount, user=user)
    if found is None:
        listed = ("--groups", QuoteString(",".join(groups))) if groups else ()
        fixed = f"useradd --system --user-group --no-create-home --shell {NO_SHELL} --comment {COMMENT} --home-dir"
        yield StringCommand(fixed, QuoteString(home), *listed, "--", QuoteString(user))
    elif not _fits(found, groups, home):
        listed = ("--append --groups", QuoteString(",".join(groups))) if groups else ()
        yield StringCommand(f"usermod --shell {NO_SHELL} --home", QuoteString(home), *listed, "--", QuoteString(user))


def _fits(found: Account, groups: tuple[str, ...], home: str) -> bool:
    return found.groups >= set(groups) and found.home == home and found.shell == NO_SHELL

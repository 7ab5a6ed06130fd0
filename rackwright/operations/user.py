"""System users and groups without a login."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra.api.command import PyinfraCommand, QuoteString, StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.facts.account import Account, GroupExists, UserAccount

COMMENT = "rackwright"
"""In the comment field of every user that we create; only such users are ever removed (see retired.py)."""
NO_SHELL = "/usr/sbin/nologin"


@operation()
def system_group(*, group: str) -> Generator[PyinfraCommand]:
    """Ensure that the group exists."""
    if not host.get_fact(GroupExists, group=group):
        yield StringCommand("groupadd --system --", QuoteString(group))


@operation()
def system_user(*, user: str, groups: tuple[str, ...] = (), home: str = "/nonexistent") -> Generator[PyinfraCommand]:
    """Ensure that the user exists, with its own group, in these groups, without a login shell.

    `home` is set, but not created. The user's other groups are left alone.
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

"""The people who may log in to one host."""

from __future__ import annotations

from datetime import date
from typing import Literal

from rackwright.values.base import Frozen
from rackwright.values.text import Line, Name

Role = Literal["operator", "auditor"]

PEOPLE = "rackwright-people"
"""The group of all accounts that rackwright has ever created or adopted, including people who left. By this group
rackwright recognizes its accounts."""
OPERATORS = "rackwright-operators"
AUDITORS = "rackwright-auditors"
READERS = ("adm", "systemd-journal")
"""The distribution's groups that may read logs and the journal, so that an auditor doesn't need sudo for them."""
AUDITS = "(root) /usr/sbin/nft list ruleset, /usr/bin/ss -ltunp, /usr/sbin/sshd -T"
"""An auditor's rights as `sudo -l` lists them, without its tags."""
SUDOERS = "/etc/sudoers.d/rackwright-people"


class Person(Frozen):
    name: Name
    """Also the name of the user on the host."""
    role: Role
    keys: tuple[Line, ...]
    """The complete authorized_keys: SSH public keys, one line each."""
    full_name: Line | None = None
    """For the account's comment field; None leaves it as it is."""
    until: date | None = None
    """The last day (UTC) on which the account works, even without another apply."""
    adopt: bool = False
    """Whether rackwright takes over an existing user of this name that it didn't create."""

    @property
    def groups(self) -> tuple[str, ...]:
        return (PEOPLE, OPERATORS) if self.role == "operator" else (PEOPLE, AUDITORS, *READERS)


class Settings(Frozen):
    people: tuple[Person, ...] = ()
    left_alone: tuple[Name, ...] = ()
    """Users that are neither changed nor locked, even if they are rackwright's."""
    login: Line | None = None
    """The user that rackwright itself logs in as; never locked."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(person.name for person in self.people)

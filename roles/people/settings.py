"""Who may log in to one host."""

from __future__ import annotations

from datetime import date
from typing import Literal

from rackwright.values.base import Frozen
from rackwright.values.text import Line, Name

Role = Literal["operator", "auditor"]

PEOPLE = "rackwright-people"
"""The group of everybody whom we let in once, leavers too: by it we know our own."""
OPERATORS = "rackwright-operators"
AUDITORS = "rackwright-auditors"
READERS = ("adm", "systemd-journal")
"""The distribution's groups that read logs and the journal: an auditor needs no sudo for them."""
AUDITS = "(root) /usr/sbin/nft list ruleset, /usr/bin/ss -ltunp, /usr/sbin/sshd -T"
"""An auditor's rights as `sudo -l` lists them, without its tags."""
SUDOERS = "/etc/sudoers.d/rackwright-people"


class Person(Frozen):
    name: Name
    """Of the user on the host as well."""
    role: Role
    keys: tuple[Line, ...]
    """All of authorized_keys: SSH public keys, one line each."""
    full_name: Line | None = None
    """For the account's comment field; None leaves it."""
    until: date | None = None
    """The last day (UTC) on which the account works, even if nobody applies."""
    adopt: bool = False
    """Whether a user of this name that somebody else made is taken over."""

    @property
    def groups(self) -> tuple[str, ...]:
        return (PEOPLE, OPERATORS) if self.role == "operator" else (PEOPLE, AUDITORS, *READERS)


class Settings(Frozen):
    people: tuple[Person, ...] = ()
    left_alone: tuple[Name, ...] = ()
    """Users whom we neither change nor put out, though they may be of ours."""
    login: Line | None = None
    """The user that the tool itself logs in as; never put out."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(person.name for person in self.people)

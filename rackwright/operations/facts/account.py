"""Users and groups, through getent: local ones and those of a directory service."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from pyinfra.api.facts import FactBase

from rackwright.operations.facts.people import Accounts, parse_people, people_command


@dataclass(frozen=True)
class Account:
    """A user's entry in passwd(5), with the names of all its groups."""

    home: str
    shell: str
    groups: frozenset[str] = frozenset()


class UserAccount(FactBase[Account | None]):
    """Given a user's name, return its account, or None if there is no such user."""

    def command(self, user: str) -> str:
        quoted = shlex.quote(user)
        return f"if getent passwd -- {quoted}; then id -nG -- {quoted}; fi"

    def process(self, output: list[str]) -> Account | None:
        fields = output[0].split(":")
        return Account(home=fields[5], shell=fields[6], groups=frozenset(output[1].split()))


class GroupExists(FactBase[bool]):
    """Given a group's name, return whether it exists."""

    def command(self, group: str) -> str:
        return f"getent group -- {shlex.quote(group)} || true"

    @staticmethod
    def default() -> bool:
        return False

    def process(self, output: list[str]) -> bool:
        return bool(output)


class PeopleAccounts(FactBase[Accounts]):
    """Given names, return the accounts of these users and of all users that we have ever admitted."""

    def command(self, names: tuple[str, ...]) -> str:
        return people_command(names)

    @staticmethod
    def default() -> Accounts:
        return Accounts()

    def process(self, output: list[str]) -> Accounts:
        return parse_people(output)

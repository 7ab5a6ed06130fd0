"""Changes that must not be made to existing accounts, checked before the first change. No pyinfra."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.errors import Problem
from rackwright.operations.facts.people import Account, Accounts, fingerprints
from rackwright.roles.people.settings import Person, Settings

FIRST_UID = 1000
"""Lowest uid of people; lower ones are system users (UID_MIN in login.defs of Debian and Ubuntu)."""
_NOBODY = 65534


def refusals(accounts: Accounts, settings: Settings, login_key: str | None = None) -> tuple[Problem, ...]:
    """Given the accounts and the key that this command logged in with (SHA256:…, if known), return every problem."""
    return tuple(_refusals(accounts, settings, login_key))


def refusal(accounts: Accounts, person: Person) -> Problem | None:
    """Return why rackwright can't manage this person's account, or None."""
    return next(_of_account(person, accounts.by_name.get(person.name)), None)


def _refusals(accounts: Accounts, settings: Settings, login_key: str | None) -> Iterator[Problem]:
    for person in settings.people:
        yield from _of_account(person, accounts.by_name.get(person.name))
        if person.name == settings.login:
            yield from _of_login(person, login_key)
    found = accounts.by_name.get(settings.login or "")
    if found and found.ours and found.name not in (*settings.names, *settings.left_alone):
        yield Problem(
            where="people",
            what=f"{found.name}, the user that this command logs in as, has left: rackwright would be locked out",
            should="set ssh.user to a user who stays, or keep this person",
            next="rackwright plan",
        )


def _of_account(person: Person, found: Account | None) -> Iterator[Problem]:
    if found is None or found.ours:
        return
    where, keys = f"people.{person.name}", len(found.fingerprints)
    if found.uid < FIRST_UID or found.uid == _NOBODY:
        yield Problem(where, f"{person.name} is a system user (uid {found.uid})", "choose another name")
    elif not person.adopt:
        yield Problem(
            where,
            f"the host already has a user {person.name} (uid {found.uid}, {keys} SSH keys), not rackwright's",
            "set `existing: adopt` for the person, which replaces the keys on the host, or choose another name",
            "rackwright plan",
        )


def _of_login(person: Person, login_key: str | None) -> Iterator[Problem]:
    where = f"people.{person.name}"
    if person.role != "operator":
        should = "make the person an operator, or set ssh.user to another user"
        yield Problem(where, f"this command logs in as {person.name}, but an auditor may not change anything", should)
    if login_key and login_key not in fingerprints(person.keys):
        should = "add it to keys, or log in with one of the keys"
        yield Problem(f"{where}.keys", f"{login_key}, which this command logs in with, is not among them", should)

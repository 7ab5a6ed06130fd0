"""People's accounts: admit people, and remove their access."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Iterator
from datetime import date, timedelta
from pathlib import Path

from pyinfra.api.command import PyinfraCommand, QuoteString, StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.diff import show
from rackwright.operations.facts.account import PeopleAccounts
from rackwright.operations.facts.people import Account, fingerprints
from rackwright.roles.people.settings import AUDITORS, OPERATORS, PEOPLE, Person

FORGET = """[ ! -L "$1/.ssh" ] || rm -f -- "$1/.ssh"
rm -f -- "$1/.ssh/authorized_keys" "$1/.ssh/authorized_keys2"
"""
"""Run only after all processes of the user have ended, because they could create links in our way."""
END_SESSIONS = (Path(__file__).parent / "end_sessions.sh").read_text()
ADMIT = (Path(__file__).parent / "admit.sh").read_text()
_SHELL = "/bin/bash"
_NO_SHELLS = ("nologin", "false")
_NO_PASSWORD = "*"  # noqa: S105
"""In shadow(5): no password matches. Unlike "!", it doesn't mean that the account is locked."""


@operation()
def people_groups(*, names: tuple[str, ...], groups: tuple[str, ...]) -> Generator[PyinfraCommand]:
    """Ensure that these groups exist."""
    missing = [group for group in groups if group not in host.get_fact(PeopleAccounts, names=names).groups]
    for group in missing:
        yield StringCommand("groupadd --system --", QuoteString(group))


@operation()
def admitted(*, names: tuple[str, ...], person: Person, refused: str | None) -> Generator[PyinfraCommand]:
    """Ensure that the person may log in with exactly these keys, and is in the groups of the role.

    If a role was revoked, the person's sessions are ended, because open sessions keep their groups.
    With `refused`, the operation fails with this message.
    """
    if refused:
        yield _failing(refused)
        return
    found = host.get_fact(PeopleAccounts, names=names).by_name.get(person.name)
    if commands := [*_account(person, found), *_keys(person, found), *_sessions(person, found)]:
        show("\n".join(_summary(person, found)))
        yield from commands


@operation()
def put_out(*, names: tuple[str, ...], left_alone: tuple[str, ...], login: str | None) -> Generator[PyinfraCommand]:
    """Remove the access of every user that we admitted once and that isn't in `names` or `left_alone`.

    The user's sessions end, keys and groups are removed, and the account is locked and expired; its home stays. Fails
    instead of removing the access of the user that we log in as.
    """
    accounts = host.get_fact(PeopleAccounts, names=names).by_name.values()
    leavers = [
        found for found in accounts if found.ours and not found.out and found.name not in (*names, *left_alone)
    ]
    if not leavers:
        return
    if login in [found.name for found in leavers]:
        yield _failing(f"this command logs in as {login}, so it can't remove the access of {login}")
        return
    show("\n".join(line for found in leavers for line in _farewell(found)))
    for found in leavers:
        # Expire the account first: then no key, password or cron job can use it.
        yield StringCommand(f"usermod --lock --expiredate 1 --groups {PEOPLE} --", QuoteString(found.name))
        yield StringCommand(shlex.join(["sh", "-c", END_SESSIONS, "end", found.name]))
        yield StringCommand(shlex.join(["sh", "-c", FORGET, "forget", found.home]))


def _failing(words: str) -> StringCommand:
    return StringCommand(f"printf '%s\\n' {shlex.quote(words)} >&2; false")


def _account(person: Person, found: Account | None) -> Iterator[StringCommand]:
    if found is None:
        yield StringCommand("useradd --create-home --user-group", *_useradd(person), "--", QuoteString(person.name))
    elif changes := list(_usermod(person, found)):
        yield StringCommand("usermod", *changes, "--", QuoteString(person.name))
    for group in _lost(person, found):
        yield StringCommand("gpasswd --delete", QuoteString(person.name), QuoteString(group))


def _keys(person: Person, found: Account | None) -> Iterator[StringCommand]:
    if found is None or found.keys != person.keys or not found.keys_kept or found.odd:
        home = found.home if found else f"/home/{person.name}"
        keys = shlex.quote("".join(f"{key}\n" for key in person.keys))
        words = shlex.join(["sh", "-c", ADMIT, "admit", person.name, home])
        yield StringCommand(f"printf %s {keys} | {words}")


def _sessions(person: Person, found: Account | None) -> Iterator[StringCommand]:
    if found and _lost(person, found):
        yield StringCommand(shlex.join(["sh", "-c", END_SESSIONS, "end", person.name]))


def _useradd(person: Person) -> Iterator[str | QuoteString]:
    yield from ("--shell", _SHELL, "--password", QuoteString(_NO_PASSWORD), "--groups", ",".join(person.groups))
    if person.full_name:
        yield from ("--comment", QuoteString(person.full_name))
    if person.until:
        yield from ("--expiredate", _first_day_out(person.until).isoformat())


def _usermod(person: Person, found: Account) -> Iterator[str | QuoteString]:
    missing = [group for group in person.groups if group not in found.groups]
    if missing:
        yield from ("--append", "--groups", ",".join(missing))
    if found.shell.endswith(_NO_SHELLS):
        yield from ("--shell", _SHELL)
    if person.full_name and person.full_name != found.full_name:
        yield from ("--comment", QuoteString(person.full_name))
    if found.locked:
        yield from ("--password", QuoteString(_NO_PASSWORD))
    day = _first_day_out(person.until) if person.until else None
    if found.expires != (day - date(1970, 1, 1)).days if day else found.expires is not None:
        yield from ("--expiredate", QuoteString(day.isoformat() if day else ""))


def _first_day_out(until: date) -> date:
    return until + timedelta(days=1)


def _lost(person: Person, found: Account | None) -> tuple[str, ...]:
    """Return the group of the other role if the account is still in it."""
    other = AUDITORS if person.role == "operator" else OPERATORS
    return (other,) if found and other in found.groups else ()


def _summary(person: Person, found: Account | None) -> Iterator[str]:
    """Yield a line for the account, and one for each key that is added or removed."""
    sign = "+" if found is None else "="
    yield f"{sign} {person.name}, {person.role}"
    before, after = found.fingerprints if found else {}, fingerprints(person.keys)
    yield from (f"- {key} {before[key]}".rstrip() for key in before if key not in after)
    yield from (f"+ {key} {after[key]}".rstrip() for key in after if key not in before)
    if found and found.odd:
        yield "- a link, or a second file of keys, in .ssh"


def _farewell(found: Account) -> Iterator[str]:
    yield f"- {found.name}: keys, groups and sessions; its home {found.home} stays"
    yield from (f"- {key} {comment}".rstrip() for key, comment in found.fingerprints.items())

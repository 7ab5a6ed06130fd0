"""Who can log in to the hosts, with which keys and rights, and what of it isn't in the fleet file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from rackwright.errors import HostError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.keys_file import ApiKey, read_keys
from rackwright.fleet.public_key import parse_public_key
from rackwright.fleet.sections.people import Person
from rackwright.fleet.targets import targets
from rackwright.lifecycle.access.scripts import SCRIPT, HostAccess, Use, User, parse
from rackwright.roles.people.settings import AUDITS
from rackwright.state.formats import utc_now

if TYPE_CHECKING:
    from rackwright.remote import Remote


@dataclass(frozen=True)
class Key:
    fingerprint: str
    comment: str
    person: str | None
    """Its owner according to the fleet file."""
    use: Use | None
    """Its last use for this account."""


@dataclass(frozen=True)
class Account:
    """One user of one host with a key or a password, or a person who should have access there."""

    host: str
    user: str
    role: str
    """Role of the person of that name; "-": no person has it."""
    until: date | None
    keys: tuple[Key, ...]
    sudo: tuple[str, ...]
    password: bool
    remarks: tuple[str, ...]
    """Differences from the fleet file."""
    tool: bool = False
    """Whether it is the account that the tool on control hosts logs in to."""


@dataclass(frozen=True)
class Review:
    when: datetime
    accounts: tuple[Account, ...]
    api_keys: tuple[ApiKey, ...]
    begins: Mapping[str, datetime | None]
    """Host → start of its journal: a key without a use hasn't been used since then."""
    remarks: tuple[str, ...]
    """About hosts as a whole."""
    unreachable: Mapping[str, str]

    @property
    def findings(self) -> tuple[str, ...]:
        """Everything that differs from the fleet file."""
        of_accounts = (f"{one.host}: {one.user}: {remark}" for one in self.accounts for remark in one.remarks)
        return (*of_accounts, *self.remarks)


def review(fleet: Fleet, hosts: tuple[str, ...]) -> Review:
    """Ask all hosts at the same time who can log in. Changes nothing."""
    from rackwright.remote import Remote, read_each

    now = utc_now()
    with Remote(targets(fleet, hosts)) as remote:
        answers = read_each(remote.run_on(hosts, "sh -s", stdin=SCRIPT), "listing who can log in", parse)
        found = {name: answer for name, answer in answers.items() if not isinstance(answer, HostError)}
        unreachable = {
            name: answer.problems[0].what for name, answer in answers.items() if isinstance(answer, HostError)
        }
        own = {name: _own_key(fleet, remote, name) for name in found}
    return Review(
        when=now,
        accounts=tuple(one for name in found for one in accounts(fleet, name, found[name], own[name], now.date())),
        api_keys=read_keys(fleet.sibling("keys.yml")),
        begins={name: access.begins for name, access in found.items()},
        remarks=tuple(
            f"{name}: sshd also reads keys from elsewhere: {how}" for name in found for how in found[name].others
        ),
        unreachable=unreachable,
    )


def _own_key(fleet: Fleet, remote: Remote, name: str) -> str | None:
    return None if fleet.is_local(name) else remote.connection(name).login_key


def accounts(fleet: Fleet, host: str, access: HostAccess, own_key: str | None, today: date) -> Iterator[Account]:
    """Given a host's report, yield its accounts by name. `own_key`: the key that this command logged in with."""
    people = {name: person for name, person in fleet.file.people.items() if fleet.admits(person, host)}
    in_use = {name for name, user in access.users.items() if user.keys or user.password}
    for name in sorted(in_use | set(people)):
        user, person = access.users.get(name), people.get(name)
        login = own_key if name == fleet.file.hosts[host].ssh.user else None
        yield Account(
            host=host,
            user=name,
            role=person.role if person else "-",
            until=person.until if person else None,
            keys=tuple(_keys(fleet, user)) if user else (),
            sudo=("everything: it is root",) if user and user.uid == 0 else user.sudo if user else (),
            password=user.password if user else False,
            remarks=tuple(_remarks(fleet, user, person, login, today)),
            tool=name == fleet.file.unattended.person,
        )


def _keys(fleet: Fleet, user: User) -> Iterator[Key]:
    for fingerprint, comment in user.keys.items():
        yield Key(fingerprint, comment, fleet.person_of(fingerprint), user.uses.get(fingerprint))


def _remarks(fleet: Fleet, user: User | None, person: Person | None, login: str | None, today: date) -> Iterator[str]:
    wanted = {parse_public_key(key).fingerprint for key in person.keys} if person else set()
    if person and person.ended(today):
        wanted = set()
        if user and user.keys:
            yield f"access ended on {person.until}: next: rackwright apply"
    elif person and (user is None or wanted - set(user.keys)):
        yield "a key in the fleet file is not installed yet: next: rackwright apply"
    if user is None:
        return
    for fingerprint, comment in user.keys.items():
        if fingerprint not in wanted and fingerprint != login and (person or not fleet.person_of(fingerprint)):
            yield f"a key that isn't in the fleet file: {fingerprint} {comment}".rstrip()
    if person is None and user.name in fleet.file.people and user.keys:
        yield "a person without access here in the fleet file: next: rackwright apply"
    if person is None and user.password:
        yield "a password is set"
    more = [line for line in user.sudo if re.sub(r"\b[A-Z]+: ", "", line) != AUDITS]
    if person and person.role == "auditor" and more:
        yield f"an auditor with more rights by sudo: {'; '.join(more)}"

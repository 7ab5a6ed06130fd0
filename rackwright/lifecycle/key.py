"""Add, edit and revoke API keys: in the keys file, and at once at every gateway and on every control host."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from rackwright.errors import HostError, LeasedError, UsageError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.keys_file import (
    ApiKey,
    RevokedKey,
    add,
    as_gateway_keys,
    as_revoked,
    may,
    new_key,
    read_keys,
    read_keys_file,
    replaced,
    revoke,
    write_keys,
)
from rackwright.fleet.targets import targets
from rackwright.lifecycle.session.operator import operator_of
from rackwright.remote.answers import read_answer
from rackwright.run import new_run_id
from rackwright.state.api_keys.control_keys import keep_keys
from rackwright.state.api_keys.pushed_keys import NEWS_COMMAND, PushedKey, parse_pushed, unknown_to, with_pushed
from rackwright.state.audit import Act, write_audit
from rackwright.state.formats import utc_now
from rackwright.state.operator import Operator
from rackwright.values.amounts import parse_duration
from rackwright.values.priority import Priority
from rackwright.values.secrets import Secret

if TYPE_CHECKING:
    from rackwright.remote import Remote

_READING = "reading the pushed API keys"
Verb = Literal["add", "edit", "revoke"]
Role = Literal["gateway", "control host"]
_DONE: dict[Verb, str] = {"add": "added", "edit": "changed", "revoke": "revoked"}


@dataclass(frozen=True)
class Terms:
    """What a key may do, as an operator enters it; None: not given."""

    owner: str | None = None
    models: tuple[str, ...] | None = None
    """Empty: all models."""
    expires: str | None = None
    """Like 90d or 2027-03-31; "never"."""
    requests_per_minute: int | Literal["unlimited"] | None = None
    concurrency: int | Literal["default", "unlimited"] | None = None
    tokens_per_day: int | Literal["unlimited"] | None = None
    tokens_per_month: int | Literal["unlimited"] | None = None
    priority: Priority | Literal["team"] | None = None

    def fields(self, fleet: Fleet, now: datetime) -> dict[str, object]:
        """Return the key's fields that are given. Raise UsageError if one isn't valid."""
        models = self.models or ()
        unknown = [model for model in models if model not in fleet.file.routed]
        if unknown:
            should = f"one of {', '.join(fleet.file.routed)}"
            raise UsageError("no model of that name", where=unknown[0], should=should)
        said = {"owner": self.owner, "models": self.models, "expires": self.expires}
        found: dict[str, object] = {name: value for name, value in said.items() if value is not None}
        if self.expires is not None:
            found["expires"] = None if self.expires == "never" else _expiry(self.expires, now)
        # A field that isn't in the keys file means: as usual.
        for name, limit, usual in (
            ("requests_per_minute", self.requests_per_minute, "unlimited"),
            ("concurrency", self.concurrency, "default"),
            ("tokens_per_day", self.tokens_per_day, "unlimited"),
            ("tokens_per_month", self.tokens_per_month, "unlimited"),
            ("priority", self.priority, "team"),
        ):
            if limit is not None:
                found[name] = None if limit == usual else limit
        return found


def add_key(fleet: Fleet, id: str, terms: Terms) -> tuple[ApiKey, Secret]:
    """Add a key to the keys file; return it, and its text, which is stored nowhere.

    Raise UsageError, writing nothing, if the id is taken or not a name, or the terms aren't valid.
    """
    path = fleet.sibling("keys.yml")
    file = read_keys_file(path)
    created = utc_now()
    text, sha256 = new_key(id)
    key = _checked({"id": id, "sha256": sha256, "created": created} | terms.fields(fleet, created))
    write_keys(path, add(file.keys, key), file.revoked)
    return key, text


def edit_key(fleet: Fleet, id: str, terms: Terms) -> ApiKey:
    """Change a key in the keys file and return it; fields that the terms don't give stay as they were.

    Raise UsageError, writing nothing, if no key has this id, or the terms aren't valid.
    """
    path, now = fleet.sibling("keys.yml"), utc_now()
    file, found = read_keys_file(path), find_key(fleet, id)
    key = _checked(found.model_dump() | terms.fields(fleet, now) | {"changed": found.next_change(now)})
    write_keys(path, replaced(file.keys, key), file.revoked)
    return key


def _checked(fields: dict[str, object]) -> ApiKey:
    try:
        return ApiKey.model_validate(fields)
    except ValidationError as error:
        raise _usage(error) from None


def find_key(fleet: Fleet, id: str) -> ApiKey:
    """Return the key with this id. Raise UsageError if there is none."""
    keys = read_keys(fleet.sibling("keys.yml"))
    rest = revoke(keys, id)
    return next(key for key in keys if key not in rest)


def revoke_key(fleet: Fleet, id: str) -> RevokedKey:
    """Move the key to the revoked ones in the keys file, and return it. Raise UsageError if there is none."""
    path, found = fleet.sibling("keys.yml"), find_key(fleet, id)
    file = read_keys_file(path)
    gone = RevokedKey(id=found.id, owner=found.owner, sha256=found.sha256, revoked=utc_now())
    write_keys(path, revoke(file.keys, id), (*file.revoked, gone))
    return gone


@dataclass(frozen=True)
class Pushed:
    """For each host, None or why it doesn't have the change."""

    gateways: Mapping[str, str | None] = field(default_factory=dict)
    control_hosts: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every host has it."""
        return not any((*self.gateways.values(), *self.control_hosts.values()))


def note_of(key: ApiKey, gone: RevokedKey | None, who: str) -> PushedKey:
    """Return what hosts keep for `key pull`. A revocation has the same time as in the keys file."""
    return PushedKey(key=key, who=who, when=gone.revoked if gone else utc_now(), revoked=gone is not None)


def hosts_with_keys(fleet: Fleet) -> tuple[str, ...]:
    """Return the gateways and the control hosts: key commands change the keys of all of them."""
    return tuple(dict.fromkeys((*fleet.gateways, *fleet.control)))


def push_key(fleet: Fleet, key: ApiKey, verb: Verb, gone: RevokedKey | None = None) -> Pushed:
    """Push the key to each gateway and control host, or with `gone` revoke it there. Return which hosts have it.

    This takes no lease: it must be possible to revoke a key while another operator has the lease.
    """
    from rackwright.remote import Remote

    run, hosts = new_run_id(), hosts_with_keys(fleet)
    with Remote(targets(fleet, hosts)) as remote:

        def push(name: str) -> dict[Role, str | None]:
            connection = remote.connection(name)
            works = _works(fleet, remote, name, key, gone)
            try:
                connection.open()
                operator = operator_of(fleet, connection)
            except HostError as error:
                return dict.fromkeys(works, error.problems[0].what)
            note = note_of(key, gone, operator.who)
            results = {role: _problem(partial(work, note)) for role, work in works.items()}
            if None not in results.values():
                return results
            unwritten = _problem(lambda: write_audit(connection, _act(operator, key, run, verb)))
            return {role: problem or unwritten for role, problem in results.items()}

        found = remote.each(hosts, push)
    return Pushed(
        {name: found[name]["gateway"] for name in fleet.gateways},
        {name: found[name]["control host"] for name in fleet.control},
    )


def _works(
    fleet: Fleet, remote: Remote, name: str, key: ApiKey, gone: RevokedKey | None
) -> dict[Role, Callable[[PushedKey], None]]:
    """Return, for each role of the host, what gives it the change. If one of them fails, the other is still done."""
    from rackwright.gateway import Gateways

    def tell(note: PushedKey) -> None:
        gateway = Gateways(remote, (name,))
        if gone:
            gateway.remove_key(*as_revoked((gone,)), note=note.line)
        else:
            gateway.put_key(*as_gateway_keys((key,), fleet.file.teams), note=note.line)

    def keep(note: PushedKey) -> None:
        keep_keys(remote.connection(name), (note,))

    works: dict[Role, Callable[[PushedKey], None]] = {}
    if name in fleet.gateways:
        works["gateway"] = tell
    if name in fleet.control:
        works["control host"] = keep
    return works


def _problem(work: Callable[[], None]) -> str | None:
    """Do the work; return why it failed, None if it didn't."""
    try:
        work()
    except HostError as error:
        return error.problems[0].what
    return None


def pushed_keys(remote: Remote, hosts: tuple[str, ...]) -> tuple[PushedKey, ...]:
    """Return the keys that were pushed to these gateways and control hosts since the last apply, and all tombstones
    of the control hosts. Unreachable hosts are left out.

    Raise HostError if an answer can't be read: a revocation in it must not be forgotten.
    """
    return tuple(
        one
        for name, answer in remote.run_on(hosts, NEWS_COMMAND).items()
        if not isinstance(answer, HostError)
        for one in read_answer(name, _READING, parse_pushed, answer.check(_READING).stdout, name)
    )


def refuse_unknown_keys(fleet: Fleet, pushed: Iterable[PushedKey]) -> None:
    """Raise LeasedError if gateways or control hosts have API keys that are missing or older in the keys file."""
    path = fleet.sibling("keys.yml")
    unknown = unknown_to(read_keys_file(path), pushed)
    if unknown:
        raise LeasedError(
            "API keys were changed with another copy of this file",
            where=str(path),
            should="this copy should have these changes before it is applied",
            next="git pull; or rackwright key pull, which writes them to this file",
            listed=map(str, unknown),
        )


def pull_keys(fleet: Fleet) -> tuple[PushedKey, ...]:
    """Add keys that were pushed with other copies of the keys file to this one; return those that were missing.

    Raise HostError, writing nothing, if a gateway or control host can't be asked.
    """
    from rackwright.remote import Remote

    path, hosts = fleet.sibling("keys.yml"), hosts_with_keys(fleet)
    with Remote(targets(fleet, hosts)) as remote:
        for name in hosts:
            remote.connection(name).open()
        file = read_keys_file(path)
        unknown = unknown_to(file, pushed_keys(remote, hosts))
    if unknown:
        pulled = with_pushed(file, unknown)
        write_keys(path, pulled.keys, pulled.revoked)
    return unknown


def _act(operator: Operator, key: ApiKey, run: str, verb: Verb) -> Act:
    what = f"{_DONE[verb]} API key {key.id} of {key.owner}{'' if verb == 'revoke' else f': {may(key)}'}"
    return Act(time=utc_now(), operator=operator.who, run=run, command=f"key {verb}", what=what, outcome="done")


def _expiry(text: str, now: datetime) -> datetime:
    expires = _moment(text, now)
    if expires <= now:
        raise UsageError("is in the past", where=f"--expires {text}", should="should be a time in the future")
    return expires


def _moment(text: str, now: datetime) -> datetime:
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC) + timedelta(days=1)
        return now + timedelta(seconds=parse_duration(text))
    except (ValueError, OverflowError):
        should = "should be like 12h, 90d or 2027-03-31"
        raise UsageError("isn't a time", where=f"--expires {text}", should=should) from None


def _usage(error: ValidationError) -> UsageError:
    first = error.errors(include_input=False, include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    if name == "id":
        should = "should be a letter, then up to 23 letters, digits and -"
        return UsageError("isn't a valid id of a key", where="ID", should=should)
    return UsageError(first["msg"].removeprefix("Value error, "), where=name)

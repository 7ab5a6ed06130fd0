"""Give out API keys, change what they may do and take them back: in the keys file, and at every gateway at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import ValidationError

from rackwright.errors import HostError, UsageError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.keys import ApiKey, add, as_gateway_keys, new_key, read_keys, replaced, revoke, write_keys
from rackwright.fleet.targets import targets
from rackwright.lifecycle.who import operator_of
from rackwright.run import new_run_id
from rackwright.state.audit import Act, write_audit
from rackwright.state.formats import utc_now
from rackwright.state.operator import Operator
from rackwright.values import Secret, parse_duration

Verb = Literal["add", "edit", "revoke"]
_DONE: dict[Verb, str] = {"add": "added", "edit": "changed", "revoke": "revoked"}


@dataclass(frozen=True)
class Terms:
    """What a key may do, as an operator says it; None: nothing is said of it."""

    owner: str | None = None
    models: tuple[str, ...] | None = None
    """Empty: all."""
    expires: str | None = None
    """Like 90d or 2027-03-31; "never"."""
    requests_per_minute: int | None = None
    """0: as many as it likes."""
    concurrency: int | None = None
    """0: as many as it likes."""

    def fields(self, fleet: Fleet, now: datetime) -> dict[str, object]:
        """Return the key's fields that are said. Raise UsageError if one can't be."""
        models = self.models or ()
        unknown = [model for model in models if model not in fleet.file.models]
        if unknown:
            should = f"one of {', '.join(fleet.file.models)}"
            raise UsageError("no model of that name", where=unknown[0], should=should)
        said = {"owner": self.owner, "models": self.models, "expires": self.expires}
        found: dict[str, object] = {name: value for name, value in said.items() if value is not None}
        if self.expires is not None:
            found["expires"] = None if self.expires == "never" else _expiry(self.expires, now)
        limits = {"requests_per_minute": self.requests_per_minute, "concurrency": self.concurrency}
        return found | {name: limit or None for name, limit in limits.items() if limit is not None}


def add_key(fleet: Fleet, id: str, terms: Terms) -> tuple[ApiKey, Secret]:
    """Return a new key as the keys file has it afterwards, and its text, which nothing keeps.

    Raise UsageError, writing nothing, if the id is taken or not a name, or the terms are none that can be.
    """
    path = fleet.beside("keys.yml")
    keys = read_keys(path)
    created = utc_now()
    text, sha256 = new_key(id)
    key = _checked({"id": id, "sha256": sha256, "created": created} | terms.fields(fleet, created))
    write_keys(path, add(keys, key))
    return key, text


def edit_key(fleet: Fleet, id: str, terms: Terms) -> ApiKey:
    """Return the key as the keys file has it afterwards; of what the terms don't say it stays as it was.

    Raise UsageError, writing nothing, if there is none of this id, or the terms are none that can be.
    """
    path = fleet.beside("keys.yml")
    key = _checked(find_key(fleet, id).model_dump() | terms.fields(fleet, utc_now()))
    write_keys(path, replaced(read_keys(path), key))
    return key


def _checked(fields: dict[str, object]) -> ApiKey:
    try:
        return ApiKey.model_validate(fields)
    except ValidationError as error:
        raise _usage(error) from None


def find_key(fleet: Fleet, id: str) -> ApiKey:
    """Return the key of this id. Raise UsageError if there is none."""
    keys = read_keys(fleet.beside("keys.yml"))
    rest = revoke(keys, id)
    return next(key for key in keys if key not in rest)


def revoke_key(fleet: Fleet, id: str) -> None:
    """The keys file is without this key afterwards. Raise UsageError if there is none."""
    path = fleet.beside("keys.yml")
    write_keys(path, revoke(read_keys(path), id))


def tell_gateways(fleet: Fleet, key: ApiKey, verb: Verb) -> dict[str, str | None]:
    """Each gateway lets the key in as it says from now on, or no longer; return why one could not be told, None where
    it was.

    No lease is asked for: a key must be refusable also while another operator is at work.
    """
    from rackwright.gateway import Gateways
    from rackwright.remote import Remote

    (entry,) = as_gateway_keys((key,))
    run = new_run_id()
    with Remote(targets(fleet, fleet.gateways)) as remote:

        def tell(name: str) -> str | None:
            gateway = Gateways(remote, (name,))
            try:
                if verb == "revoke":
                    gateway.remove_key(entry)
                else:
                    gateway.put_key(entry)
                connection = remote.connection(name)
                write_audit(connection, _act(operator_of(fleet, connection), key, run, verb))
            except HostError as error:
                return error.problems[0].what
            return None

        return remote.each(fleet.gateways, tell)


def _act(operator: Operator, key: ApiKey, run: str, verb: Verb) -> Act:
    what = f"{_DONE[verb]} API key {key.id} of {key.owner}{'' if verb == 'revoke' else f': {may(key)}'}"
    return Act(time=utc_now(), operator=operator.who, run=run, command=f"key {verb}", what=what, outcome="done")


def may(key: ApiKey) -> str:
    """Say in words what the key may do."""
    rate = f"{key.requests_per_minute} requests a minute" if key.requests_per_minute else ""
    running = f"{key.concurrency} at a time" if key.concurrency else ""
    until = f"until {key.expires:%Y-%m-%d %H:%M} UTC" if key.expires else ""
    models = ", ".join(key.models) or "all models"
    return "; ".join(part for part in (models, rate, running, until) if part)


def _expiry(text: str, now: datetime) -> datetime:
    expires = _moment(text, now)
    if expires <= now:
        raise UsageError("has passed already", where=f"--expires {text}", should="a time to come")
    return expires


def _moment(text: str, now: datetime) -> datetime:
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC) + timedelta(days=1)
        return now + timedelta(seconds=parse_duration(text))
    except (ValueError, OverflowError):
        raise UsageError("is no time", where=f"--expires {text}", should="like 12h, 90d or 2027-03-31") from None


def _usage(error: ValidationError) -> UsageError:
    first = error.errors(include_input=False, include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    if name == "id":
        return UsageError("is no name for a key", where="ID", should="a letter, then up to 23 letters, digits and -")
    return UsageError(first["msg"].removeprefix("Value error, "), where=name)

"""Give out API keys and take them back: in the keys file, and at every gateway at once."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from pydantic import ValidationError

from rackwright.errors import HostError, UsageError
from rackwright.fleet.keys import ApiKey, add, as_gateway_keys, new_key, read_keys, revoke, write_keys
from rackwright.fleet.model import Fleet
from rackwright.fleet.targets import target, targets
from rackwright.run import new_run_id
from rackwright.state.audit import Act, write_audit
from rackwright.state.formats import utc_now
from rackwright.state.operator import operator
from rackwright.values import Secret, parse_duration


def add_key(
    fleet: Fleet, id: str, *, owner: str, models: tuple[str, ...] = (), expires: str | None = None
) -> tuple[ApiKey, Secret]:
    """Return a new key as the keys file has it afterwards, and its text, which nothing keeps.

    Raise UsageError, writing nothing, if the id is taken or not a name, a model unknown or `expires` no time to come.
    """
    unknown = [model for model in models if model not in fleet.file.models]
    if unknown:
        raise UsageError("no model of that name", where=unknown[0], should=f"one of {', '.join(fleet.file.models)}")
    path = fleet.beside("keys.yml")
    keys = read_keys(path)
    created = utc_now()
    text, sha256 = new_key(id)
    try:
        key = ApiKey(
            id=id, owner=owner, models=models, expires=_expiry(expires, created), sha256=sha256, created=created
        )
    except ValidationError as error:
        raise _usage(error) from None
    write_keys(path, add(keys, key))
    return key, text


def find_key(fleet: Fleet, id: str) -> ApiKey:
    """Return the key of this id. Raise UsageError if there is none."""
    keys = read_keys(fleet.beside("keys.yml"))
    rest = revoke(keys, id)
    return next(key for key in keys if key not in rest)


def revoke_key(fleet: Fleet, id: str) -> None:
    """The keys file is without this key afterwards. Raise UsageError if there is none."""
    path = fleet.beside("keys.yml")
    write_keys(path, revoke(read_keys(path), id))


def tell_gateways(fleet: Fleet, key: ApiKey, *, revoked: bool = False) -> dict[str, str | None]:
    """Each gateway lets the key in from now on, or no longer; return why one could not be told, None where it was.

    No lease is asked for: a key must be refusable also while another operator is at work.
    """
    from rackwright.gateway import Gateways
    from rackwright.remote import Remote

    (entry,) = as_gateway_keys((key,))
    with Remote(targets(fleet, fleet.gateways)) as remote:

        def tell(name: str) -> str | None:
            gateway = Gateways(remote, (name,))
            try:
                if revoked:
                    gateway.remove_key(entry)
                else:
                    gateway.put_key(entry)
                write_audit(remote.connection(name), _act(fleet, key, "revoke" if revoked else "add"))
            except HostError as error:
                return error.problems[0].what
            return None

        return remote.each(fleet.gateways, tell)


def _act(fleet: Fleet, key: ApiKey, verb: str) -> Act:
    who = operator(target(fleet, fleet.control[0]).key).who
    what = f"{verb} API key {key.id} of {key.owner}"
    return Act(time=utc_now(), operator=who, run=new_run_id(), command=f"key {verb}", what=what, outcome="done")


def _expiry(text: str | None, now: datetime) -> datetime | None:
    if text is None:
        return None
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

"""API keys as stored in NAME.keys.yml: each key's owner, limits and SHA-256, never the key itself."""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BeforeValidator, Field

from rackwright.errors import FleetError, Problem, UsageError
from rackwright.fleet.sections.teams import Team
from rackwright.fleet.yaml_file import read_stored, write_stored
from rackwright.roles.gateway.settings import Key as GatewayKey
from rackwright.roles.gateway.settings import RevokedKey as RevokedGatewayKey
from rackwright.values.amounts import MOST_TOKENS, tokens_text
from rackwright.values.base import Stored
from rackwright.values.priority import NUMBERS, Priority
from rackwright.values.secrets import Secret
from rackwright.values.text import Line, Name, Sha256

HEADER = """API keys of this fleet, as SHA-256, never the keys themselves. Commit this file.
Change it with `rackwright key add`, `key edit` and `key revoke`; `rackwright apply` copies it to the gateways."""


MOST = 1_000_000
"""The greatest value of a key's limits."""


def _in_utc(value: object) -> object:
    # YAML parsers convert an unquoted time to UTC and return it without its zone.
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value


Time = Annotated[AwareDatetime, BeforeValidator(_in_utc)]


class ApiKey(Stored):
    """One issued key."""

    id: Name
    owner: Line
    models: tuple[Name, ...] = ()
    """Models that it may use; empty means all."""
    expires: Time | None = None
    requests_per_minute: Annotated[int, Field(ge=1, le=MOST)] | None = None
    """None means no limit."""
    concurrency: Annotated[int, Field(ge=1, le=MOST)] | Literal["unlimited"] | None = None
    """Requests in flight at the same time, at each gateway; None means `gateway.key_concurrency`."""
    tokens_per_day: Annotated[int, Field(ge=1, le=MOST_TOKENS)] | None = None
    """Over all gateways; None means no quota of its own. Its team's counts, too."""
    tokens_per_month: Annotated[int, Field(ge=1, le=MOST_TOKENS)] | None = None
    priority: Priority | None = None
    """None means its team's."""
    sha256: Sha256
    """The sha256 of the whole key, rw-<id>-<43 base64url>."""
    created: Time
    changed: Time | None = None
    """None if it hasn't changed since it was created."""

    @property
    def version(self) -> int:
        """The time of its last change in Unix seconds: the entry with the greater version of a key wins."""
        return int((self.changed or self.created).timestamp())

    def next_change(self, now: datetime) -> datetime:
        """Return the time for a change made now: always later than the last change, whatever the clock says."""
        return max(now, (self.changed or self.created) + timedelta(seconds=1))


class RevokedKey(Stored):
    """One revoked key. It stays in the file, so that an older file can't restore it."""

    id: Name
    owner: Line
    sha256: Sha256
    revoked: Time


class KeysFile(Stored):
    format: Literal["keys/1"] = "keys/1"
    keys: tuple[ApiKey, ...] = ()
    """Sorted by id."""
    revoked: tuple[RevokedKey, ...] = ()


def read_keys(path: Path) -> tuple[ApiKey, ...]:
    """Return the keys, sorted by id. Raise the same errors as `read_keys_file`."""
    return read_keys_file(path).keys


def read_keys_file(path: Path) -> KeysFile:
    """Return the file's content, empty if there is no file. Raise FleetError, with lines, if it is not valid."""
    if not path.exists():
        return KeysFile()
    file = read_stored(path, "keys", KeysFile, restore=f"git log -p {path.name}")
    keys = file.keys
    problems = []
    both = {key.sha256 for key in file.revoked}
    problems += [
        Problem(f"{path} keys", f"{key.id} is listed as revoked, too", "a revoked key can't be restored")
        for key in keys
        if key.sha256 in both
    ]
    for what, counts in (("id", Counter(key.id for key in keys)), ("sha256", Counter(key.sha256 for key in keys))):
        problems += [
            Problem(f"{path} keys", f"{what} {value} appears {count} times", "list each key once")
            for value, count in counts.items()
            if count > 1
        ]
    if problems:
        raise FleetError(problems)
    return KeysFile(keys=_by_id(keys), revoked=file.revoked)


def write_keys(path: Path, keys: tuple[ApiKey, ...], revoked: tuple[RevokedKey, ...] = ()) -> None:
    """Write these keys to the file; on an error it is unchanged. Raise RackwrightError if it can't be written."""
    ordered = tuple(sorted(revoked, key=lambda key: (key.revoked, key.id)))
    write_stored(path, HEADER, KeysFile(keys=_by_id(keys), revoked=ordered))


def new_key(id: str) -> tuple[Secret, str]:
    """Return a new key, rw-<id>-<43 base64url> with 256 random bits, and its sha256."""
    key = Secret(f"rw-{id}-{secrets.token_urlsafe(32)}")
    return key, sha256_of(key)


def sha256_of(key: Secret) -> str:
    """Return what the keys file has of this key."""
    return hashlib.sha256(key.reveal().encode()).hexdigest()


def add(keys: tuple[ApiKey, ...], key: ApiKey) -> tuple[ApiKey, ...]:
    """Return the keys with this one added. Raise UsageError if its id is taken."""
    if any(other.id == key.id for other in keys):
        should = f"choose another id, or first run rackwright key revoke {key.id}"
        raise UsageError("there is a key with this id already", where=key.id, should=should)
    return _by_id((*keys, key))


def revoke(keys: tuple[ApiKey, ...], id: str) -> tuple[ApiKey, ...]:
    """Return the keys without this one. Raise UsageError if there is no key with this id."""
    known = [key.id for key in keys]
    if id not in known:
        from difflib import get_close_matches

        close = get_close_matches(id, known, n=1)
        should = f"did you mean {close[0]}?" if close else f"known ids: {', '.join(known)}" if known else None
        raise UsageError("no key with this id", where=id, should=should, next="rackwright key list")
    return tuple(key for key in keys if key.id != id)


def replaced(keys: tuple[ApiKey, ...], key: ApiKey) -> tuple[ApiKey, ...]:
    """Return the keys with this one in place of the one with the same id."""
    return _by_id((*(other for other in keys if other.id != key.id), key))


def as_gateway_keys(keys: tuple[ApiKey, ...], teams: Mapping[Name, Team]) -> tuple[GatewayKey, ...]:
    """Return the keys for the gateways, including expired ones: each gateway checks the expiry itself.

    A key has its team's priority unless it has one of its own.
    """
    return tuple(
        GatewayKey(
            id=key.id,
            sha256=key.sha256,
            models=key.models,
            expires=key.expires,
            requests_per_minute=key.requests_per_minute or 0,
            concurrency=0 if key.concurrency == "unlimited" else key.concurrency,
            owner=key.owner,
            priority=NUMBERS[key.priority or (teams[key.owner].priority if key.owner in teams else "normal")],
            tokens_per_day=key.tokens_per_day or 0,
            tokens_per_month=key.tokens_per_month or 0,
            version=key.version,
            about=f"{key.id} of {key.owner}: {may(key)}",
        )
        for key in _by_id(keys)
    )


def as_revoked(keys: tuple[RevokedKey, ...]) -> tuple[RevokedGatewayKey, ...]:
    """Return the keys that gateways refuse for good."""
    return tuple(
        RevokedGatewayKey(sha256=key.sha256, about=f"{key.id} of {key.owner}: revoked {key.revoked:%Y-%m-%d}")
        for key in keys
    )


def may(key: ApiKey) -> str:
    """Describe in words what the key may do."""
    rate = f"{key.requests_per_minute} requests a minute" if key.requests_per_minute else ""
    running = f"{key.concurrency} at a time" if key.concurrency else ""
    until = f"until {key.expires:%Y-%m-%d %H:%M} UTC" if key.expires else ""
    models = ", ".join(key.models) or "all models"
    return "; ".join(part for part in (models, rate, running, *quotas(key), until) if part)


def quotas(key: ApiKey) -> tuple[str, ...]:
    """Return in words the key's own quotas and priority."""
    return (
        *([f"{tokens_text(key.tokens_per_day)} tokens a day"] if key.tokens_per_day else []),
        *([f"{tokens_text(key.tokens_per_month)} tokens a month"] if key.tokens_per_month else []),
        *([f"{key.priority} priority"] if key.priority else []),
    )


def _by_id(keys: tuple[ApiKey, ...]) -> tuple[ApiKey, ...]:
    return tuple(sorted(keys, key=lambda key: key.id))

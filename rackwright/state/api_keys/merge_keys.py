"""Merge copies of a fleet's API keys that were kept in different places, without losing a key or a revocation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from hashlib import sha256
from itertools import count

from rackwright.errors import RackwrightError
from rackwright.fleet.keys_file import ApiKey, KeysFile, RevokedKey
from rackwright.state.api_keys.control_keys import tombstone
from rackwright.state.api_keys.pushed_keys import PushedKey, parse_pushed

_ABOUT = re.compile(r"\A([a-z][a-z0-9-]*) of (.*): revoked (\d{4}-\d\d-\d\d)\Z")

_LINE = re.compile(r"[0-9a-f]{64} (revoked|[0-9]{1,19})( |\Z)")


def merge_keys(files: Iterable[KeysFile], pushed: Iterable[PushedKey]) -> KeysFile:
    """Return one keys file with every key and every tombstone; of each key, the newest version.

    A revoked key is never admitted, in whatever order and however often something is merged. If two keys have one id,
    the older key keeps it, and the other gets a new id. It stays valid, because gateways know keys by their SHA-256.

    Pass only what gateways and control hosts kept: a host that could forge these files decides which keys are valid.
    """
    every, told = tuple(files), tuple(pushed)
    revoked: dict[str, RevokedKey] = {}
    for gone in (*(one for file in every for one in file.revoked), *map(_revoked, filter(_is_tombstone, told))):
        revoked[gone.sha256] = min(revoked.get(gone.sha256, gone), gone, key=_revoked_rank)
    newest: dict[str, ApiKey] = {}
    for key in (*(one for file in every for one in file.keys), *(one.key for one in told if not one.revoked)):
        if key.sha256 not in revoked:
            newest[key.sha256] = max(newest.get(key.sha256, key), key, key=_rank)
    return KeysFile(
        keys=tuple(sorted(_with_own_ids(newest.values()), key=lambda key: key.id)),
        revoked=tuple(sorted(revoked.values(), key=lambda gone: (gone.revoked, gone.id, gone.sha256))),
    )


def new_ids(before: Iterable[ApiKey], merged: KeysFile) -> Mapping[str, str]:
    """Return the keys that have another id after the merge: their former id by the new one."""
    former = {key.sha256: key.id for key in before}
    return {key.id: former[key.sha256] for key in merged.keys if former.get(key.sha256, key.id) != key.id}


def parse_kept_keys(text: str, where: str) -> tuple[PushedKey, ...]:
    """Parse keys.pushed of a control host or gateway. Raise RackwrightError if it is damaged or of a newer format."""
    notes: list[str] = []
    gone: dict[str, str] = {}
    for line in filter(None, text.split("\n")):
        if not _LINE.match(line):
            # Left out, a damaged tombstone would admit its key again.
            raise RackwrightError("is damaged: a line has no SHA-256 and version", where=f"{where}: keys.pushed")
        digest, _, rest = line.partition(" ")
        version, _, rest = rest.partition(" ")
        kind, _, content = rest.partition(" ")
        if kind == "@":
            notes.append(content)
        elif version == "revoked":
            gone[digest] = content
    pushed = parse_pushed("\n".join(notes), where)
    noted = {one.key.sha256 for one in pushed if one.revoked}
    # A gateway also keeps tombstones that an apply brought. They have no note.
    rest_gone = (_tombstone(digest, about, where) for digest, about in gone.items() if digest not in noted)
    return (*pushed, *rest_gone)


def _tombstone(digest: str, about: str, where: str) -> PushedKey:
    try:
        id, owner, day = _ABOUT.findall(about)[0]
        # Only the day is known. If another copy has the exact time, that is earlier, and counts.
        when = datetime.fromisoformat(f"{day}T23:59:59+00:00")
        return tombstone(RevokedKey(id=id, owner=owner, sha256=digest, revoked=when), who="an operator")
    except (IndexError, ValueError):
        raise RackwrightError(
            "is damaged: a revoked key has no id, owner, SHA-256 and day", where=f"{where}: keys.pushed"
        ) from None


def _with_own_ids(keys: Iterable[ApiKey]) -> Iterator[ApiKey]:
    """Yield the keys; if several have one id, all except the oldest get new ones."""
    by_age = sorted(keys, key=lambda key: (key.created, key.sha256))
    first: dict[str, str] = {}
    for key in by_age:
        first.setdefault(key.id, key.sha256)
    for key in by_age:
        if first[key.id] == key.sha256:
            yield key
        else:
            yield key.model_copy(update={"id": next(id for id in _candidates(key) if id not in first)})


def _candidates(key: ApiKey) -> Iterator[str]:
    """Return new ids for the key, without end. They depend on the key alone, so that each merge chooses the same."""
    return map(partial(_candidate, key), count())


def _candidate(key: ApiKey, number: int) -> str:
    return f"{key.id[:15].rstrip('-')}-{sha256(f'{key.sha256} {number}'.encode()).hexdigest()[:8]}"


def _is_tombstone(one: PushedKey) -> bool:
    return one.revoked


def _revoked(one: PushedKey) -> RevokedKey:
    return RevokedKey(id=one.key.id, owner=one.key.owner, sha256=one.key.sha256, revoked=one.when)


def _rank(key: ApiKey) -> tuple[int, str]:
    """The greater one counts. The text decides between equal versions, so that the order of merging doesn't."""
    return key.version, key.model_dump_json()


def _revoked_rank(gone: RevokedKey) -> tuple[datetime, str]:
    return gone.revoked, gone.model_dump_json()

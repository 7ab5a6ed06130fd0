"""What gateways were told of API keys since the last apply, by `rackwright key` on any machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from rackwright.errors import UsageError
from rackwright.fleet.keys_file import ApiKey, KeysFile, RevokedKey
from rackwright.roles.gateway.settings import FOLDER
from rackwright.state.formats import Moment, parse, stamp
from rackwright.values.base import Stored

# Of a gateway that an apply has not reached yet, nothing.
NEWS_COMMAND = f"""cd -- {FOLDER} 2>/dev/null && [ -e keys.applied ] && [ -e keys.pushed ] || exit 0
awk 'FILENAME == ARGV[1] {{ if ($2 == "revoked") gone[$1]; else at[$1] = $2; next }}
    $3 == "@" && !($1 in gone) && ($2 == "revoked" || $2 + 0 > at[$1] + 0) {{ sub(/^[^@]*@ /, ""); print }}' \\
    keys.applied keys.pushed
"""
"""Prints what a gateway was told that is newer than what was applied: JSON, a line a key."""


class PushedKey(Stored):
    """One key, as a gateway was told of it last."""

    format: str = "told-key/1"
    key: ApiKey
    who: str
    when: Moment
    revoked: bool

    def __str__(self) -> str:
        change = "revoked" if self.revoked else "changed" if self.key.changed else "added"
        return f"{self.key.id} of {self.key.owner} was {change} by {self.who} at {stamp(self.when)}"


def pushed_line(key: ApiKey, *, who: str, when: datetime, revoked: bool) -> str:
    """Return what a gateway keeps of it, one line of JSON."""
    return PushedKey(key=key, who=who, when=when, revoked=revoked).model_dump_json(exclude_none=True)


def parse_pushed(text: str, where: str) -> tuple[PushedKey, ...]:
    """Given what NEWS_COMMAND printed. Raise RackwrightError if it is newer or damaged."""
    return tuple(
        parse(PushedKey, "told-key", line, f"{where}: {FOLDER}/keys.pushed") for line in text.split("\n") if line
    )


def unknown_to(file: KeysFile, reply: Iterable[PushedKey]) -> tuple[PushedKey, ...]:
    """Return what the keys file doesn't know: keys that were added, changed or revoked with another copy."""
    latest: dict[str, PushedKey] = {}
    for one in reply:
        known = latest.get(one.key.sha256)
        if known is None or (one.revoked, one.key.version) > (known.revoked, known.key.version):
            latest[one.key.sha256] = one
    return tuple(one for one in latest.values() if _is_news(file, one))


def _is_news(file: KeysFile, reply: PushedKey) -> bool:
    if any(key.sha256 == reply.key.sha256 for key in file.revoked):
        return False
    if reply.revoked:
        # A gateway that didn't hear of it must be told, also of a key that this copy never had.
        return True
    ours = next((key for key in file.keys if key.sha256 == reply.key.sha256), None)
    return ours is None or reply.key.version > ours.version


def with_told(file: KeysFile, reply: Iterable[PushedKey]) -> KeysFile:
    """Return the keys file with what it didn't know. Raise UsageError if two keys have one id."""
    keys, revoked = {key.sha256: key for key in file.keys}, [*file.revoked]
    for one in reply:
        if one.revoked:
            keys.pop(one.key.sha256, None)
            revoked.append(_revoked(one.key, one.when))
        else:
            keys[one.key.sha256] = one.key
    for id, count in Counter(key.id for key in keys.values()).items():
        if count > 1:
            raise UsageError(
                "somebody else gave a key this id, too",
                where=id,
                should="each key has an id of its own",
                next=f"rackwright key revoke {id}, then rackwright key pull",
            )
    return KeysFile(keys=tuple(keys.values()), revoked=tuple(revoked))


def _revoked(key: ApiKey, when: datetime) -> RevokedKey:
    return RevokedKey(id=key.id, owner=key.owner, sha256=key.sha256, revoked=when)

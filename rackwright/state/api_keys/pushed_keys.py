"""API keys that `rackwright key`, on any machine, has pushed to gateways and control hosts since the last apply."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from rackwright.errors import UsageError
from rackwright.fleet.keys_file import ApiKey, KeysFile, RevokedKey
from rackwright.roles.gateway.settings import FOLDER as GATEWAY
from rackwright.state.formats import Moment, parse, stamp
from rackwright.state.shell import FOLDER
from rackwright.values.base import Stored

# A gateway that was never applied has no news. A control host drops what an apply has brought, except tombstones.
NEWS_COMMAND = f"""kept={FOLDER}/keys.pushed
[ ! -e "$kept" ] || sed -n 's/^[^@]*@ //p' "$kept" || exit
cd -- {GATEWAY} 2>/dev/null && [ -e keys.applied ] && [ -e keys.pushed ] || exit 0
awk 'FILENAME == ARGV[1] {{ if ($2 == "revoked") gone[$1]; else at[$1] = $2; next }}
    $3 == "@" && !($1 in gone) && ($2 == "revoked" || $2 + 0 > at[$1] + 0) {{ sub(/^[^@]*@ /, ""); print }}' \\
    keys.applied keys.pushed
"""
"""Prints one line of JSON per key: all that a control host keeps, and what was pushed to a gateway and is newer than
the applied keys."""


class PushedKey(Stored):
    """One key, as it was last pushed to a gateway or control host."""

    format: str = "told-key/1"
    key: ApiKey
    who: str
    when: Moment
    revoked: bool

    @property
    def line(self) -> str:
        """The line of JSON that hosts keep for the key."""
        return self.model_dump_json(exclude_none=True)

    def __str__(self) -> str:
        change = "revoked" if self.revoked else "changed" if self.key.changed else "added"
        return f"{self.key.id} of {self.key.owner} was {change} by {self.who} at {stamp(self.when)}"


def parse_pushed(text: str, where: str) -> tuple[PushedKey, ...]:
    """Parse the output of NEWS_COMMAND. Raise RackwrightError if it is damaged or of a newer format."""
    file = f"{where}: keys.pushed in {GATEWAY} or {FOLDER}"
    return tuple(parse(PushedKey, "told-key", line, file) for line in text.split("\n") if line)


def unknown_to(file: KeysFile, pushed: Iterable[PushedKey]) -> tuple[PushedKey, ...]:
    """Return the keys that were added, changed or revoked with another copy, if this keys file lacks that change."""
    latest: dict[str, PushedKey] = {}
    for one in pushed:
        known = latest.get(one.key.sha256)
        if known is None or (one.revoked, one.key.version) > (known.revoked, known.key.version):
            latest[one.key.sha256] = one
    return tuple(one for one in latest.values() if _is_news(file, one))


def _is_news(file: KeysFile, pushed: PushedKey) -> bool:
    if any(key.sha256 == pushed.key.sha256 for key in file.revoked):
        return False
    if pushed.revoked:
        # The revocation must reach gateways that were missed, even if this copy never had the key.
        return True
    known = next((key for key in file.keys if key.sha256 == pushed.key.sha256), None)
    return known is None or pushed.key.version > known.version


def with_pushed(file: KeysFile, pushed: Iterable[PushedKey]) -> KeysFile:
    """Return the keys file with these pushed keys. Raise UsageError if two keys have the same id."""
    keys, revoked = {key.sha256: key for key in file.keys}, [*file.revoked]
    for one in pushed:
        if one.revoked:
            keys.pop(one.key.sha256, None)
            revoked.append(_revoked(one.key, one.when))
        else:
            keys[one.key.sha256] = one.key
    for id, count in Counter(key.id for key in keys.values()).items():
        if count > 1:
            raise UsageError(
                "another operator has given this id to another key",
                where=id,
                should="each key should have its own id",
                next=f"rackwright key revoke {id}, then rackwright key pull",
            )
    return KeysFile(keys=tuple(keys.values()), revoked=tuple(revoked))


def _revoked(key: ApiKey, when: datetime) -> RevokedKey:
    return RevokedKey(id=key.id, owner=key.owner, sha256=key.sha256, revoked=when)

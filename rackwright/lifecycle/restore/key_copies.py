"""Merge the API keys of every reachable gateway and control host, and of their snapshots in every repository."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from rackwright.errors import RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.keys_file import ApiKey, KeysFile, RevokedKey, read_keys_file, write_keys
from rackwright.lifecycle.backup.at import NEWEST, At
from rackwright.lifecycle.backup.choose import choose
from rackwright.lifecycle.backup.reader import Reader, readers
from rackwright.lifecycle.backup.refusal import refusal
from rackwright.lifecycle.key import hosts_with_keys
from rackwright.lifecycle.session.session import Session
from rackwright.roles.gateway.settings import FOLDER as GATEWAY
from rackwright.state.api_keys.merge_keys import merge_keys, new_ids, parse_kept_keys
from rackwright.state.api_keys.pushed_keys import PushedKey
from rackwright.state.formats import stamp, utc_now
from rackwright.state.shell import FOLDER

_PUSHED = (f"{FOLDER}/keys.pushed", f"{GATEWAY}/keys.pushed")
_MOST_BYTES = 16 << 20
Read = Callable[[str], str | None]
"""Given a path, return the file's text, None if there is no such file. Raises RackwrightError."""


@dataclass
class _Found:
    files: list[KeysFile] = field(default_factory=list)
    pushed: list[PushedKey] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class MergedKeys:
    """The fleet's keys from all places, compared with the keys file."""

    file: KeysFile
    """All of them."""
    added: tuple[ApiKey, ...]
    """Valid keys that the keys file lacks or has in an older version."""
    revoked: tuple[RevokedKey, ...]
    """Revocations that the keys file lacks."""
    renamed: Mapping[str, str]
    """New id → id before: two keys had the same one."""
    sources: tuple[str, ...]
    missed: tuple[str, ...]
    """Places that could not be read, and why."""

    @property
    def news(self) -> bool:
        return bool(self.added or self.revoked)


def merged_keys(session: Session, at: At = NEWEST) -> MergedKeys:
    """Return the keys of all places. Changes nothing.

    If an older snapshot is asked for, an attacker may have forged what is newer: then only such a snapshot can add
    keys of the session's hosts. Revocations always count. A place that can't be read is named in the result: a key
    that was revoked only there may be admitted again.
    """
    with ExitStack() as stack:
        hosts = hosts_with_keys(session.fleet)
        ways = {host: _ways(stack, session, host) for host in hosts}
        found = session.remote.each(hosts, lambda host: _of_host(session, host, ways[host], at))
    own = read_keys_file(session.fleet.sibling("keys.yml"))
    files = [own, *(file for one in found.values() for file in one.files)]
    merged = merge_keys(files, [pushed for one in found.values() for pushed in one.pushed])
    known, gone = {key.sha256: key for key in own.keys}, {key.sha256 for key in own.revoked}
    return MergedKeys(
        merged,
        added=tuple(key for key in merged.keys if known.get(key.sha256) != key),
        revoked=tuple(key for key in merged.revoked if key.sha256 not in gone),
        renamed=new_ids(own.keys, merged),
        sources=tuple(source for one in found.values() for source in one.sources),
        missed=tuple(why for one in found.values() for why in one.missed),
    )


def write_merged(fleet: Fleet, merged: MergedKeys) -> None:
    """Write the merged keys to the keys file. The next apply brings them to every gateway and control host."""
    if merged.news or merged.renamed:
        write_keys(fleet.sibling("keys.yml"), merged.file.keys, merged.file.revoked)


def _ways(stack: ExitStack, session: Session, host: str) -> tuple[Reader, ...]:
    return stack.enter_context(readers(session.fleet, host, session.remote.connection(host)))


def _of_host(session: Session, host: str, ways: Sequence[Reader], at: At) -> _Found:
    found = _Found()
    _read(found, host, _on_host(session, host), session.fleet)
    _of_snapshots(found, session, host, ways, NEWEST)
    if at == NEWEST or host not in session.hosts:
        return found
    older = _Found()
    _of_snapshots(older, session, host, ways, at)
    older.files += [KeysFile(keys=(), revoked=file.revoked) for file in found.files]
    older.pushed += [one for one in found.pushed if one.revoked]
    older.sources += [f"{source} (only revocations)" for source in found.sources if source not in older.sources]
    older.missed += [why for why in found.missed if why not in older.missed]
    return older


def _of_snapshots(found: _Found, session: Session, host: str, ways: Sequence[Reader], at: At) -> None:
    for name, some in groupby(ways, key=lambda way: way.repository):
        try:
            chosen = choose(tuple(some), session.fleet.file.fleet, utc_now(), at)
        except RackwrightError as error:
            found.missed.append(f"snapshots of {host} at {name}: {error.problems[0].line()}")
            continue
        what = f"{chosen.snapshot.id[:8]} of {stamp(chosen.snapshot.time)} of {host} at {name}"
        _read(found, what, _in_snapshot(chosen.reader, chosen.snapshot.id), session.fleet)


def _read(found: _Found, what: str, read: Read, fleet: Fleet) -> None:
    """Read everything that this place knows about keys, or note why not."""
    try:
        texts = {path: read(path) for path in _PUSHED}
        applied = read(f"{FOLDER}/fleet/{fleet.sibling('keys.yml').name}")
        pushed = [one for path, text in texts.items() if text for one in parse_kept_keys(text, f"{what}: {path}")]
        files = [_parsed(applied)] if applied else []
    except RackwrightError as error:
        found.missed.append(f"{what}: {error.problems[0].line()}")
        return
    found.pushed += pushed
    found.files += files
    found.sources.append(what)


def _on_host(session: Session, host: str) -> Read:
    def read(path: str) -> str | None:
        shell = session.remote.connection(host)
        there = shell.run(f"[ ! -e '{path}' ] || cat -- '{path}'", limit=_MOST_BYTES).check(f"reading {path}")
        return there.stdout or None

    return read


def _in_snapshot(reader: Reader, snapshot: str) -> Read:
    def read(path: str) -> str | None:
        answer = reader.run("dump", snapshot, path, limit=_MOST_BYTES)
        if answer.ok:
            return answer.stdout
        if "not found in snapshot" in answer.stderr:
            return None
        raise RackwrightError(refusal(reader, answer))

    return read


def _parsed(text: str) -> KeysFile:
    with tempfile.TemporaryDirectory(prefix="rackwright-") as folder:
        path = Path(folder, "keys.yml")
        path.write_text(text, encoding="utf-8")
        return read_keys_file(path)


def lines(merged: MergedKeys) -> Iterator[str]:
    """Yield what the merge would change, in words."""
    yield f"API keys: merged from {', '.join(merged.sources) or 'the keys file alone'}"
    yield from (f"  adds or updates {key.id} of {key.owner}" for key in merged.added)
    yield from (f"  revokes {key.id} of {key.owner}, at {stamp(key.revoked)}" for key in merged.revoked)
    yield from (
        f"  two keys have the id {before}: the newer one becomes {id}" for id, before in merged.renamed.items()
    )
    yield from (f"  not read: {why}" for why in merged.missed)

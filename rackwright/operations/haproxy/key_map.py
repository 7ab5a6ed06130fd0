"""A gateway's API keys: in its files, and, without a reload, in the memory of its workers."""

from __future__ import annotations

import shlex
from collections.abc import Generator
from dataclasses import dataclass
from hashlib import sha256

from pyinfra.api.command import PyinfraCommand, QuoteString, StringCommand
from pyinfra.api.facts import FactBase
from pyinfra.api.operation import OperationMeta, operation
from pyinfra.context import host

from rackwright.operations.diff import show, unified
from rackwright.operations.filesystem.file import write
from rackwright.operations.filesystem.path_questions import CONTENT_LIMIT
from rackwright.operations.haproxy.paths import Paths


class KeysMerged(FactBase[bool]):
    """Given the script for a proxy's keys, return whether keys.map is up to date."""

    def command(self, script: str) -> str:
        return f"{shlex.quote(script)} are_merged 2>/dev/null && echo yes || echo no"

    @staticmethod
    def default() -> bool:
        return False

    def process(self, output: list[str]) -> bool:
        return output == ["yes"]


@dataclass(frozen=True)
class Known:
    """The keys that a proxy knows, in the format of a key file."""

    sha256: str
    text: str | None
    """None: it is too long to show."""


class KnownKeys(FactBase[Known | None]):
    """Given the script for a proxy's keys, return the keys applied and pushed so far; None if none were applied."""

    def command(self, script: str) -> str:
        known = f"k=$({shlex.quote(script)} known 2>/dev/null)"
        shown = f'[ "${{#k}}" -gt {CONTENT_LIMIT} ] || printf "%s\n" "$k"'
        return f'if {known}; then printf "%s\n" "$k" | sha256sum; {shown}; fi'

    def process(self, output: list[str]) -> Known | None:
        if not output:
            return None
        return Known(output[0].split()[0], "\n".join(output[1:]) if len(output) > 1 else None)


class KeysLoaded(FactBase[bool]):
    """Given keys.map and the stamp of its last loading, return whether it was loaded since it was written."""

    def command(self, keys: str, stamp: str) -> str:
        k, s = shlex.quote(keys), shlex.quote(stamp)
        return f"[ -e {s} ] && ! [ {k} -nt {s} ] && ! [ {k} -ot {s} ] && echo yes || echo no"

    @staticmethod
    def default() -> bool:
        return False

    def process(self, output: list[str]) -> bool:
        return output == ["yes"]


@operation()
def keys_applied(*, script: str, path: str, content: str) -> Generator[PyinfraCommand]:
    """Write the key file if the proxy doesn't know all its keys. The diff shows keys by id and owner.

    If all new keys have already been pushed to the proxy, the file is unchanged.
    """
    known = host.get_fact(KnownKeys, script=script)
    # The shell removes all trailing newlines, and printf adds one.
    if known and known.sha256 == sha256((content.rstrip("\n") + "\n").encode()).hexdigest():
        return
    steps = list(write(path=path, content=content, mode="0600", secret=True))
    if steps:
        show(_difference(known, content))
    yield from steps


def _difference(known: Known | None, content: str) -> str:
    if known and known.text is None:
        return "API keys differ"
    before = _for_people(known.text) if known and known.text is not None else None
    return unified("API keys", before, _for_people(content)) or "entries of the same API keys differ"


def _for_people(content: str) -> str:
    """Given a key file, return its lines for people."""
    return "\n".join(sorted(line.partition(" # ")[2] for line in content.splitlines() if " # " in line))


@operation()
def keys_merged(*, script: str, written: tuple[OperationMeta, ...]) -> Generator[PyinfraCommand]:
    """Ensure that keys.map has each key's newer entry: the applied one, or the one pushed to this proxy since."""
    changed = any(one.did_change() if one.is_complete() else one.will_change for one in written)
    if changed or not host.get_fact(KeysMerged, script=script):
        yield StringCommand(QuoteString(script), "alone merge")


@operation()
def keys_loaded(*, script: str, paths: Paths, written: OperationMeta) -> Generator[PyinfraCommand]:
    """Ensure that every worker, even one that is only finishing its answers, knows exactly the keys in keys.map."""
    loaded = host.get_fact(KeysLoaded, keys=f"{paths.configuration}/keys.map", stamp=f"{paths.run}/keys.loaded")
    changed = written.did_change() if written.is_complete() else written.will_change
    if changed or not loaded:
        yield StringCommand(QuoteString(script), "load_keys")

"""API keys of a gateway: in its files, and in the memory of its workers without a reload."""

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
    """Given the script of a proxy's keys, return whether keys.map is what it should be."""

    def command(self, script: str) -> str:
        return f"{shlex.quote(script)} are_merged 2>/dev/null && echo yes || echo no"

    @staticmethod
    def default() -> bool:
        return False

    def process(self, output: list[str]) -> bool:
        return output == ["yes"]


@dataclass(frozen=True)
class Known:
    """What a proxy knows of keys, as a file of keys says it."""

    sha256: str
    text: str | None
    """None: it is too long to be shown."""


class KnownKeys(FactBase[Known | None]):
    """Given the script of a proxy's keys, return what was applied and told since; None: nothing was ever applied."""

    def command(self, script: str) -> str:
        known = f"k=$({shlex.quote(script)} known 2>/dev/null)"
        shown = f'[ "${{#k}}" -gt {CONTENT_LIMIT} ] || printf "%s\n" "$k"'
        return f'if {known}; then printf "%s\n" "$k" | sha256sum; {shown}; fi'

    def process(self, output: list[str]) -> Known | None:
        if not output:
            return None
        return Known(output[0].split()[0], "\n".join(output[1:]) if len(output) > 1 else None)


class KeysLoaded(FactBase[bool]):
    """Given keys.map and the stamp that its last loading left, return whether it was loaded since it was written."""

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
    """Afterwards the proxy knows the keys that the keys file has. The diff tells them by id and owner.

    Where it was told of all that is new by then, the file stays as it was.
    """
    known = host.get_fact(KnownKeys, script=script)
    # A shell takes the ends of the last lines away, and gives one back.
    if known and known.sha256 == sha256((content.rstrip("\n") + "\n").encode()).hexdigest():
        return
    steps = list(write(path=path, content=content, mode="0600", secret=True))
    if steps:
        show(_difference(known, content))
    yield from steps


def _difference(known: Known | None, content: str) -> str:
    if known and known.text is None:
        return "API keys differ"
    before = _reply(known.text) if known and known.text is not None else None
    return unified("API keys", before, _reply(content)) or "entries of the same API keys differ"


def _reply(content: str) -> str:
    """Given a file of keys, return its lines for people."""
    return "\n".join(sorted(line.partition(" # ")[2] for line in content.splitlines() if " # " in line))


@operation()
def keys_merged(*, script: str, written: tuple[OperationMeta, ...]) -> Generator[PyinfraCommand]:
    """Afterwards keys.map has of each key what is newer: as it was applied, or as this proxy was told since."""
    changed = any(one.did_change() if one.is_complete() else one.will_change for one in written)
    if changed or not host.get_fact(KeysMerged, script=script):
        yield StringCommand(QuoteString(script), "alone merge")


@operation()
def keys_loaded(*, script: str, paths: Paths, written: OperationMeta) -> Generator[PyinfraCommand]:
    """Afterwards every worker, one that only finishes its answers too, knows the keys of keys.map and no others."""
    loaded = host.get_fact(KeysLoaded, keys=f"{paths.configuration}/keys.map", stamp=f"{paths.run}/keys.loaded")
    changed = written.did_change() if written.is_complete() else written.will_change
    if changed or not loaded:
        yield StringCommand(QuoteString(script), "load_keys")

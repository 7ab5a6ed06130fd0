"""API keys in the memory of a running gateway, without a reload."""

from __future__ import annotations

import shlex
from collections.abc import Generator

from pyinfra.api.command import PyinfraCommand, QuoteString, StringCommand
from pyinfra.api.facts import FactBase
from pyinfra.api.operation import OperationMeta, operation
from pyinfra.context import host

from rackwright.operations.haproxy.paths import Paths


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
def keys_loaded(*, script: str, paths: Paths, written: OperationMeta) -> Generator[PyinfraCommand]:
    """Afterwards every worker, one that only finishes its answers too, knows the keys of keys.map and no others."""
    loaded = host.get_fact(KeysLoaded, keys=f"{paths.configuration}/keys.map", stamp=f"{paths.run}/keys.loaded")
    changed = written.did_change() if written.is_complete() else written.will_change
    if changed or not loaded:
        yield StringCommand(QuoteString(script), "load_keys")

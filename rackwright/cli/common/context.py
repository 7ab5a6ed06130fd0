"""The context of one invocation: which fleet, and whether to print JSON."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from rackwright.terminal import echo, echo_json
from rackwright.values.tool_mode import in_tool_mode

if TYPE_CHECKING:
    from rackwright.fleet.fleet import Fleet

DEFAULT_FLEET = Path("inventory/fleet.yml")
Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]


def _default_path() -> Path:
    return Path(os.environ.get("RACKWRIGHT_FLEET") or DEFAULT_FLEET)


@dataclass
class Context:
    path: Path = field(default_factory=_default_path)
    json: bool = False

    @cached_property
    def fleet(self) -> Fleet:
        """The checked fleet, read once; in tool mode, the applied one. Raise FleetError with every problem."""
        if in_tool_mode():
            return _fleet_of_tool()
        from rackwright.fleet.load import load_fleet

        return load_fleet(self.path)

    def answer(self, document: object, *lines: str) -> None:
        """Print the command's answer, once: the document with --json, the lines without."""
        if self.json:
            echo_json(document)
        else:
            echo(*lines)

    def note(self, *lines: str) -> None:
        """Print lines to standard error, in addition to the answer. With --json, only errors go there."""
        if not self.json:
            echo(*lines, err=True)


def _fleet_of_tool() -> Fleet:
    hosts_needed()
    from rackwright.lifecycle.tool.applied_fleet import applied_fleet

    return applied_fleet()


def hosts_needed() -> None:
    """Make sockets and threads cooperative. Call this before importing anything that reaches hosts."""
    from gevent import events, monkey

    from rackwright.stopping import interrupt, wake_on_signals

    if not monkey.is_module_patched("socket"):
        # gevent would search all installed packages for plugins a dozen times.
        events.notify_and_call_entry_points = events.notify
        # It would search all objects for locks in use. There are none yet.
        gc.freeze()
        monkey.patch_all(ssl=False)
        gc.unfreeze()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.default_int_handler:
                signal.signal(number, interrupt)
        wake_on_signals()

"""Read from the journal what a replica, or all of rackwright's units on a host, wrote."""

from __future__ import annotations

import time
from collections.abc import Iterator
from shlex import quote

from rackwright.remote import Connection
from rackwright.roles.probe.settings import stem

_CURSOR = "-- cursor: "


def units_of(replica: str) -> tuple[str, ...]:
    """Return the units whose logs are about a replica (<model>@<n>)."""
    return (f"rackwright-{replica}.service", f"{stem(replica)}.probe.service")


OURS = ("rackwright-*",)


def logs(
    connection: Connection, units: tuple[str, ...], *, lines: int, follow: bool, poll_seconds: float = 1.0
) -> Iterator[str]:
    """Yield the last lines of the units; with `follow`, also new lines until interrupted."""
    named = " ".join(f"-u {quote(unit)}" for unit in units)
    command = f"journalctl --no-pager -q -o short-iso --show-cursor {named}"
    cursor = None
    while True:
        since = f"--after-cursor={quote(cursor)}" if cursor else f"-n {lines}"
        text = connection.run(f"{command} {since}").check("reading the journal").stdout.removesuffix("\n")
        # Not splitlines(): it also splits at characters that a message may contain.
        for line in text.split("\n") if text else ():
            if line.startswith(_CURSOR):
                cursor = line.removeprefix(_CURSOR)
            else:
                yield line
        if not follow:
            return
        time.sleep(poll_seconds)

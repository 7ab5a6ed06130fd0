"""Ask an engine questions at its own socket, without host proxy and gateway, one after another."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from shlex import quote

from rackwright.errors import RackwrightError
from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.session.replica_units import unit_of
from rackwright.lifecycle.session.session import Session

SECONDS = 120
"""Longest wait for one answer."""


@dataclass(frozen=True)
class Reply:
    status: int
    """HTTP status; 0: no response."""
    body: str
    seconds: float


def ask_engine(session: Session, replica: Replica, bodies: Sequence[str]) -> list[Reply]:
    """Given bodies of chat completions, return the replies. Raise HostError if the replica's host can't be asked."""
    mark = secrets.token_hex(16)
    script = ask_script(unit_of(session, replica).socket, bodies, mark)
    done = session.remote.connection(replica.host).run("sh -s", stdin=script, timeout=len(bodies) * SECONDS + 30)
    replies = parse_replies(done.stdout, mark)
    if len(replies) != len(bodies):
        raise RackwrightError(
            f"only {len(replies)} of {len(bodies)} questions were completed",
            where=replica.address,
            next=f"rackwright logs {replica.address}",
        )
    return replies


def ask_script(socket: str, bodies: Sequence[str], mark: str) -> str:
    """Return the shell script, to run as root. The questions are in the script, never in a process's arguments."""
    reply = f"\\n{mark} %{{http_code}} %{{time_total}}\\n"
    curl = ["curl", "-q", "--silent", "--noproxy", "'*'", "--max-time", str(SECONDS), "--unix-socket", quote(socket)]
    curl += ["--header", "'Content-Type: application/json'", "--write-out", quote(reply), "--data-binary", "@-"]
    curl += ["http://engine/v1/chat/completions"]
    asked = [f"{' '.join(curl)} <<'{mark}'\n{body}\n{mark}" for body in bodies]
    return "\n".join([*asked, "exit 0", ""])


def parse_replies(output: str, mark: str) -> list[Reply]:
    """Given the script's output, return the replies in the order of the questions."""
    found = re.findall(rf"(.*?)\n{mark} (\d+) ([\d.]+)\n", output, re.DOTALL)
    return [Reply(int(status), body, float(seconds)) for body, status, seconds in found]

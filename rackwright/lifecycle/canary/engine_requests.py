"""Ask an engine questions at its own socket, without host proxy and gateway, one after another."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from shlex import quote

from rackwright.errors import RackwrightError
from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.session.replica_units import unit_of
from rackwright.lifecycle.session.session import Session
from rackwright.remote.answers import read_answer
from rackwright.remote.batch import Batch
from rackwright.roles.replica.answer import MOST_BYTES

SECONDS = 120
"""Longest wait for one answer."""
_ANSWER = re.compile(r"(.*)\n(\d+) ([\d.]+)", re.DOTALL)


@dataclass(frozen=True)
class Reply:
    status: int
    """HTTP status; 0: no response."""
    body: str
    seconds: float


def ask_engine(session: Session, replica: Replica, bodies: Sequence[str]) -> list[Reply]:
    """Given bodies of chat completions, return the replies. Raise HostError if the replica's host can't be asked."""
    batch = batch_of(unit_of(session, replica).socket, bodies)
    seconds = len(bodies) * SECONDS + 30
    done = session.remote.connection(replica.host).run("sh -s", stdin=batch.script, timeout=seconds)
    # Without curl, or if it was killed, a command ends without status and time.
    answers = [answer for part in batch.whole(done.stdout_bytes) if (answer := _ANSWER.fullmatch(part.stdout))]
    replies = read_answer(replica.host, "the replies of its engine", _replies, answers)
    if len(replies) != len(bodies):
        raise RackwrightError(
            f"only {len(replies)} of {len(bodies)} questions were completed",
            where=replica.address,
            next=f"rackwright logs {replica.address}",
        )
    return replies


def _replies(answers: Iterable[re.Match[str]]) -> list[Reply]:
    return [Reply(int(status), body, float(time)) for body, status, time in map(re.Match.groups, answers)]


def batch_of(socket: str, bodies: Sequence[str]) -> Batch:
    """Return the questions as a batch for root. The bodies are in the script, never in a process's arguments."""
    curl = ["curl", "-q", "--silent", "--noproxy", "'*'", "--max-time", str(SECONDS), "--unix-socket", quote(socket)]
    curl += ["--max-filesize", str(MOST_BYTES), "--header", "'Content-Type: application/json'"]
    curl += ["--write-out", "'\\n%{http_code} %{time_total}'"]
    curl += ["--data-binary", "@-", "http://engine/v1/chat/completions"]
    # printf is built into the shell, so the body is in no process's arguments.
    return Batch.of(f"printf '%s\\n' {quote(body)} | {' '.join(curl)}" for body in bodies)

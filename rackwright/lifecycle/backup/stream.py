"""What restic prints, as it comes: a file or a list of any size in constant memory, and whether it is complete."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from rackwright.errors import HostError
from rackwright.lifecycle.backup.reader import Reader
from rackwright.lifecycle.backup.refusal import refusal
from rackwright.remote.completed import Completed
from rackwright.remote.transport import Pipe

_CHUNK = 256 * 1024
_ERRORS = 4000
"""Most bytes of restic's errors that are kept."""
_HELD = _ERRORS + 100
"""Bytes at the end that aren't passed on until it is known what they are: the last of them tell how restic ended."""

# Standard error is kept apart, because it would end up in the content.
_SCRIPT = """exec 4>&1
e=$({command} 2>&1 >&4 4>&-)
c=$?
printf '\\n%s %s\\n' {marker} "$c"
printf %s "$e" | tail -c {errors}
"""


@contextmanager
def streamed(reader: Reader, *arguments: str, seconds: float, limit: int) -> Iterator[Iterator[bytes]]:
    """Yield what restic prints, in pieces. After the last piece, restic has ended well and all of it was there.

    The pieces raise HostError if restic fails or takes longer than `seconds`, if the connection is lost, or if there
    are more than `limit` bytes. Leaving the block before the end stops restic. Raise RackwrightError if restic can't
    run.
    """
    marker = secrets.token_hex(16)
    command = reader.command(*arguments, seconds=seconds)
    pipe = reader.pipe(_SCRIPT.format(command=command, marker=marker, errors=_ERRORS))
    try:
        yield _pieces(reader, pipe, marker.encode(), limit)
    finally:
        pipe.close()


def _pieces(reader: Reader, pipe: Pipe, marker: bytes, limit: int) -> Iterator[bytes]:
    held, passed = b"", 0
    while chunk := _received(reader, pipe):
        held += chunk
        if len(held) > _HELD:
            passed += len(held) - _HELD
            _refuse_more(reader, passed, limit)
            yield held[:-_HELD]
            held = held[-_HELD:]
    content, found, ended = held.rpartition(b"\n" + marker + b" ")
    status = re.match(rb"([0-9]{1,3})\n", ended)
    if not found or not status:
        raise HostError("the connection was lost while restic ran", where=reader.repository)
    if status[1] != b"0":
        answer = Completed(int(status[1]), b"", ended[status.end() :])
        raise HostError(refusal(reader, answer), where=reader.repository)
    _refuse_more(reader, passed + len(content), limit)
    if content:
        yield content


def _received(reader: Reader, pipe: Pipe) -> bytes:
    try:
        return pipe.recv(_CHUNK)
    except OSError as error:
        raise HostError(f"the connection was lost while restic ran: {error}", where=reader.repository) from None


def _refuse_more(reader: Reader, count: int, limit: int) -> None:
    if count > limit:
        raise HostError(f"restic printed more than {limit} bytes", where=reader.repository)

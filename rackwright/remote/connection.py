"""The connection to one host: opened at first use, reused for everything that a rackwright command does there."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from shlex import quote
from typing import IO

from rackwright.errors import HostError
from rackwright.remote import sudo as sudo_command
from rackwright.remote.completed import Completed
from rackwright.remote.jumps import Jumps
from rackwright.remote.transport import OUTPUT_LIMIT, Pipe, Transport
from rackwright.values.targets import Target

_CHUNK = 256 * 1024

# The stream ends in the same way when all is sent and when the connection breaks: rename only a complete file.
_PUT = """set -eu
target=$(readlink -m -- {path})
temporary=$(mktemp -- "$(dirname -- "$target")/.rackwright-XXXXXXXXXXXX")
trap 'rm -f -- "$temporary"' EXIT
trap 'exit 74' HUP INT PIPE TERM
head -c {size} >"$temporary"
[ "$(stat -c %s -- "$temporary")" = {size} ] || {{ echo "the transfer was cut short" >&2; exit 74; }}
if [ -e "$target" ]; then chown --reference="$target" -- "$temporary"; chmod --reference="$target" -- "$temporary"; fi
{owner}{mode}mv -fT -- "$temporary" "$target"
"""


@dataclass
class Counters:
    commands: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0


class Connection:
    """Runs commands on one host as root or as the login user. Reconnects if the connection is lost."""

    def __init__(self, target: Target, *, transport: Callable[[Target], Transport] | None = None) -> None:
        self.target = target
        self.counters = Counters()
        self._make = transport or open_transport
        self._transport: Transport | None = None
        # Several greenlets may find the connection closed at once, and sshd rejects many simultaneous logins.
        self._opening = threading.RLock()
        self._failed: HostError | None = None
        self._sudo_proven = False

    @property
    def name(self) -> str:
        return self.target.name

    @property
    def login_key(self) -> str | None:
        """Fingerprint (SHA256:…) of the SSH key used to log in, even if that connection is lost.

        Raise HostError if there was none yet and the host is unreachable.
        """
        return (self._transport or self._opened()).login_key

    def open(self) -> None:
        """Connect unless already connected. Raise HostError or HostKeyError with the reason if that fails."""
        self._opened()

    def run(
        self,
        command: str,
        *,
        stdin: str | bytes | None = None,
        sudo: bool = True,
        timeout: float | None = 60,
        limit: int = OUTPUT_LIMIT,
    ) -> Completed:
        """Run a shell command and return its result, with any exit status.

        Raise CommandTimeout after `timeout` seconds, HostError if the host is unreachable, if sudo refuses, or if
        the command prints more than `limit` bytes.
        """
        content = stdin.encode() if isinstance(stdin, str) else stdin or b""
        return self._execute(command, [content] if content else [], sudo=sudo, timeout=timeout, limit=limit)

    def put(
        self,
        content: IO[bytes] | bytes,
        path: str,
        *,
        mode: int | None = None,
        owner: str | None = None,
        size: int | None = None,
        progress: Callable[[int, int], None] | None = None,
        timeout: float | None = None,
    ) -> None:
        """Write a file as root, atomically: the file has either the new content, complete, or its old content.

        A new file has mode 0600. Without `mode` and `owner` ("user:group"), an existing file keeps its own. `size`
        (bytes) is required for a stream that can't seek. `progress` gets the bytes sent and the total. Memory use is
        constant. Raise HostError if the file can't be written or the connection is lost.
        """
        stream = io.BytesIO(content) if isinstance(content, bytes) else content
        length = _length(stream) if size is None else size
        script = _PUT.format(
            path=quote(path),
            size=length,
            owner=f'chown -- {quote(owner)} "$temporary"\n' if owner else "",
            mode=f'chmod {mode:o} -- "$temporary"\n' if mode is not None else "",
        )
        chunks = _chunks(stream, length, progress)
        self._execute(script, chunks, sudo=True, timeout=timeout).check(f"writing {path}")

    def get(self, path: str, *, limit: int = OUTPUT_LIMIT, timeout: float | None = 60) -> bytes:
        """Return a file's content, read as root. Raise HostError if it can't be read or exceeds `limit` bytes."""
        return self.run(f"cat -- {quote(path)}", timeout=timeout, limit=limit).check(f"reading {path}").stdout_bytes

    def pipe(self, command: str) -> Pipe:
        """Start a command as root and return its standard input and output as one stream. The caller closes it.

        Raise HostError if the host is unreachable, sudo refuses, or the connection accepts no further command.
        """
        transport = self._opened()
        self.counters.commands += 1
        if transport.is_root:
            return transport.pipe(sudo_command.plain(command))
        if self.target.sudo_password is None:
            return transport.pipe(sudo_command.as_root(command))
        self._prove_password()
        wrapped, prefix = sudo_command.as_root_with_password(command, self.target.sudo_password)
        pipe = transport.pipe(wrapped)
        pipe.sendall(prefix)
        return pipe

    def close(self) -> None:
        if self._transport:
            self._transport.close()
        self._transport = None
        self._sudo_proven = False

    def _opened(self) -> Transport:
        failed = self._failed
        with self._opening:
            if self._failed is not failed and self._failed:
                # Another greenlet's attempt failed while this one waited: don't wait as long again.
                raise self._failed
            if self._transport is None or not self._transport.alive():
                self.close()
                self._transport = self._connect()
            return self._transport

    def _connect(self) -> Transport:
        try:
            return self._make(self.target)
        except HostError as error:
            self._failed = error
            raise

    def _execute(
        self,
        command: str,
        stdin: Iterable[bytes],
        *,
        sudo: bool,
        timeout: float | None,
        limit: int = OUTPUT_LIMIT,
    ) -> Completed:
        transport = self._opened()
        if not sudo or transport.is_root:
            return self._counted(sudo_command.plain(command), stdin, timeout, limit)
        prefix = b""
        if self.target.sudo_password is None:
            wrapped = sudo_command.as_root(command)
        else:
            self._prove_password()
            wrapped, prefix = sudo_command.as_root_with_password(command, self.target.sudo_password)
        completed = self._counted(wrapped, _after(prefix, stdin), timeout, limit)
        self._note_sudo(completed)
        return completed

    def _prove_password(self) -> None:
        """Test the password with a single attempt: on some hosts several failures lock the account."""
        if not self._sudo_proven and self.target.sudo_password is not None:
            command, stdin = sudo_command.proof(self.target.sudo_password)
            self._note_sudo(self._counted(command, [stdin], 30, OUTPUT_LIMIT))

    def _note_sudo(self, completed: Completed) -> None:
        if not self._sudo_proven and (error := sudo_command.refusal(completed, self.target)):
            raise error
        self._sudo_proven = self._sudo_proven or completed.ok

    def _counted(self, command: str, stdin: Iterable[bytes], timeout: float | None, limit: int) -> Completed:
        self.counters.commands += 1
        self.counters.bytes_sent += len(command)
        completed = self._opened().execute(command, self._sent(stdin), timeout=timeout, limit=limit)
        self.counters.bytes_received += len(completed.stdout_bytes) + len(completed.stderr_bytes)
        return completed

    def _sent(self, stdin: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in stdin:
            self.counters.bytes_sent += len(chunk)
            yield chunk


def open_transport(target: Target, jumps: Jumps | None = None) -> Transport:
    """Return an open connection to the target. Raise HostError with the reason if it can't be opened."""
    if target.address == "@local":
        from rackwright.remote.local import LocalTransport

        return LocalTransport(target.name)
    # paramiko takes a quarter of a second to import.
    from rackwright.remote.ssh import SshTransport

    return SshTransport(target, jumps)


def _after(prefix: bytes, stdin: Iterable[bytes]) -> Iterator[bytes]:
    if prefix:
        yield prefix
    yield from stdin


def _length(stream: IO[bytes]) -> int:
    position = stream.tell()
    end = stream.seek(0, io.SEEK_END)
    stream.seek(position)
    return end - position


def _chunks(stream: IO[bytes], size: int, progress: Callable[[int, int], None] | None) -> Iterator[bytes]:
    sent = 0
    while sent < size and (chunk := stream.read(min(_CHUNK, size - sent))):
        yield chunk
        sent += len(chunk)
        if progress:
            progress(sent, size)
    if sent < size:
        raise HostError(f"the content ended after {sent} of {size} bytes")

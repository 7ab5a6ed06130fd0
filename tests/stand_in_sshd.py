"""A stand-in for sshd, which isn't installed here: one user, one key, and the two commands of a git server.

ssh and git are the real ones. What a real sshd with git-shell does is in tests/heavy/test_lock_branch.py.
"""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import paramiko

COMMANDS = ("git-upload-pack", "git-receive-pack")


@dataclass
class GitSshd:
    """It serves repositories below `folder` to whoever has `allowed`."""

    folder: Path
    allowed: str
    """Public key: TYPE BASE64."""
    key: paramiko.PKey = field(default_factory=lambda: paramiko.RSAKey.generate(2048))
    port: int = 0
    commands: list[str] = field(default_factory=list)
    """What clients asked for."""
    offered: list[str] = field(default_factory=list)
    """The keys that clients offered: TYPE BASE64."""
    protocol: bool = True
    """Whether it lets clients choose git's protocol 2, as git hosts do. Debian's sshd doesn't unless it is set up."""
    hangs: bool = False
    """Whether it never answers a command."""

    @property
    def host_key(self) -> str:
        return f"{self.key.get_name()} {self.key.get_base64()}"

    def url(self, name: str) -> str:
        return f"ssh://git@127.0.0.1:{self.port}/{name}"


class _Server(paramiko.ServerInterface):
    def __init__(self, sshd: GitSshd) -> None:
        self.sshd = sshd
        self.environment: dict[str, str] = {}

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self.sshd.offered.append(f"{key.get_name()} {key.get_base64()}")
        fits = username == "git" and self.sshd.offered[-1] == self.sshd.allowed
        return paramiko.AUTH_SUCCESSFUL if fits else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_env_request(self, channel: paramiko.Channel, name: bytes, value: bytes) -> bool:
        accepted = self.sshd.protocol and name == b"GIT_PROTOCOL"
        if accepted:
            self.environment = {"GIT_PROTOCOL": value.decode()}
        return accepted

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=_serve, args=(self, channel, command.decode()), daemon=True).start()
        return True


def _serve(server: _Server, channel: paramiko.Channel, command: str) -> None:
    sshd = server.sshd
    sshd.commands.append(command)
    if sshd.hangs:
        return
    program, path = shlex.split(command)
    assert program in COMMANDS
    process = subprocess.Popen(
        [program, str(sshd.folder / path.lstrip("/"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        env={**os.environ, **server.environment},
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr
    reads = [
        threading.Thread(target=_copy, args=(process.stdout, channel.sendall)),
        threading.Thread(target=_copy, args=(process.stderr, channel.sendall_stderr)),
    ]
    for thread in reads:
        thread.start()
    threading.Thread(target=_fill, args=(channel, process.stdin), daemon=True).start()
    for thread in reads:
        thread.join()
    with suppress(OSError, EOFError):
        channel.send_exit_status(process.wait())
    channel.close()


def _copy(source: object, send: object) -> None:
    while content := source.read(65536):  # type: ignore[attr-defined]
        with suppress(OSError):
            send(content)  # type: ignore[operator]


def _fill(channel: paramiko.Channel, stdin: object) -> None:
    with suppress(OSError, ValueError):
        while content := channel.recv(65536):
            stdin.write(content)  # type: ignore[attr-defined]
    with suppress(OSError):
        stdin.close()  # type: ignore[attr-defined]


@contextmanager
def git_sshd(folder: Path, allowed: str) -> Iterator[GitSshd]:
    """Yield the running server, on a free port of loopback."""
    made = GitSshd(folder, allowed)
    transports: list[paramiko.Transport] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        made.port = listening.getsockname()[1]

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    transport = paramiko.Transport(connection)
                    transports.append(transport)
                    transport.add_server_key(made.key)
                    with suppress(paramiko.SSHException, EOFError, OSError):
                        transport.start_server(server=_Server(made))

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield made
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            for transport in transports:
                transport.close()

"""Hosts over SSH, with paramiko."""

from __future__ import annotations

import contextlib
import random
import socket
import time
from collections.abc import Iterable
from ipaddress import ip_address

from rackwright.errors import HostError, NotListening
from rackwright.remote import known_hosts, login
from rackwright.remote._paramiko import paramiko
from rackwright.remote.completed import CommandTimeout, Completed
from rackwright.remote.jumps import JumpConnection, Jumps
from rackwright.remote.transport import STALL_SECONDS, Collected
from rackwright.values.targets import Target

CONNECT_SECONDS = 10
LOGIN_SECONDS = 20
_KEEPALIVE_SECONDS = 10
_LOSS_SECONDS = 40
_ATTEMPTS = 4
_CONNECT_FAILED = 2
"""SSH_OPEN_CONNECT_FAILED in RFC 4254: the jump host's connection was refused or not answered."""


class SshTransport:
    """One logged-in SSH connection, through a jump host if the target names one."""

    def __init__(self, target: Target, jumps: Jumps | None = None) -> None:
        """`jumps` are shared with other hosts. Without them, this connection opens and closes its own."""
        self._host = target.name
        self.is_root = target.user == "root"
        # paramiko closes a connection when its client is garbage-collected, so keep the jump host's client too.
        self._jumps, self._jumps_shared = jumps or Jumps(), jumps is not None
        self._client = _connect(target, self._jumps.to(target, SshTransport))
        transport = self._client.get_transport()
        assert transport  # noqa: S101
        self._ssh = transport
        self.login_key = login.key_of(transport)

    def execute(self, command: str, stdin: Iterable[bytes], *, timeout: float | None, limit: int) -> Completed:
        deadline = None if timeout is None else time.monotonic() + timeout
        with _lost(self._host), contextlib.closing(self._ssh.open_session(timeout=LOGIN_SECONDS)) as channel:
            channel.exec_command(command)
            streams = [Collected(read, limit, channel.close) for read in (channel.recv, channel.recv_stderr)]
            _feed(channel, stdin, min(timeout or STALL_SECONDS, STALL_SECONDS))
            if not all(stream.ended(deadline) for stream in streams):
                raise CommandTimeout(f"a command didn't finish within {timeout:g} s", where=self._host)
            if any(stream.overflown for stream in streams):
                raise HostError(f"a command printed more than {limit} bytes", where=self._host)
            channel.status_event.wait(None if deadline is None else max(0.1, deadline - time.monotonic()))
            status = channel.exit_status
        if status == -1 and not self._ssh.is_active():
            raise HostError("the connection was lost while a command ran", where=self._host)
        return Completed(status, streams[0].content, streams[1].content, self._host)

    def pipe(self, command: str) -> paramiko.Channel:
        with _lost(self._host):
            channel = self._ssh.open_session(timeout=LOGIN_SECONDS)
            channel.exec_command(command)
        return channel

    def alive(self) -> bool:
        return self._ssh.is_active()

    def close(self) -> None:
        self._client.close()
        if not self._jumps_shared:
            self._jumps.close()

    def tunnel(self, address: str, port: int) -> paramiko.Channel:
        """Return a channel from this host to an address. Raise HostError if the host can't reach the address."""
        try:
            return self._ssh.open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=CONNECT_SECONDS)
        except (paramiko.SSHException, OSError) as error:
            failed = isinstance(error, paramiko.ChannelException) and error.code == _CONNECT_FAILED
            kind = NotListening if failed else HostError
            raise kind(f"can't reach {address} port {port}: {error}", where=self._host) from error


def reach(target: Target, jump: JumpConnection | None) -> socket.socket | paramiko.Channel:
    """Return an open stream to the target's SSH port. Raise HostError with the reason if it can't be opened."""
    if jump:
        return jump.tunnel(target.address, target.port)
    try:
        stream = _connected(target)
    except socket.gaierror as error:
        raise HostError(f"the address {target.address} can't be resolved", where=target.name) from error
    except OSError as error:
        reason = "no answer" if isinstance(error, TimeoutError) else (error.strerror or str(error)).lower()
        kind = NotListening if isinstance(error, ConnectionRefusedError) else HostError
        raise kind(f"unreachable at {target.address} port {target.port}: {reason}", where=target.name) from error
    # paramiko leaves Nagle's algorithm on, which costs 40 ms per command.
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _LOSS_SECONDS * 1000)
    return stream


def _connected(target: Target) -> socket.socket:
    try:
        family = socket.AF_INET6 if ip_address(target.address).version == 6 else socket.AF_INET
    except ValueError:
        return socket.create_connection((target.address, target.port), timeout=CONNECT_SECONDS)
    # gevent would start a thread pool to resolve the address.
    stream = socket.socket(family)
    try:
        stream.settimeout(CONNECT_SECONDS)
        stream.connect((target.address, target.port))
    except BaseException:
        stream.close()
        raise
    return stream


def _connect(target: Target, jump: JumpConnection | None) -> paramiko.SSHClient:
    """Log in. Retry after a delay, because sshd rejects some of many simultaneous logins (MaxStartups)."""
    for attempt in range(_ATTEMPTS):
        try:
            return _connect_once(target, jump)
        except login.NoGreeting:
            if attempt == _ATTEMPTS - 1:
                raise
            time.sleep(random.uniform(0.5, 1.5) * 2**attempt)  # noqa: S311
    raise AssertionError("unreachable")


def _connect_once(target: Target, jump: JumpConnection | None) -> paramiko.SSHClient:
    pins = known_hosts.lookup(target)
    client = paramiko.SSHClient()
    for key in pins.keys:
        with contextlib.suppress(paramiko.SSHException, paramiko.pkey.UnknownKeyType):
            client.get_host_keys().add(
                known_hosts.host_name(target), key.type, paramiko.PKey.from_type_string(key.type, key.blob)
            )
    client.set_missing_host_key_policy(login.Refuse(target, pins))
    stream = reach(target, jump)
    try:
        login.log_in(client, target, stream, timeout=LOGIN_SECONDS)
    except BaseException:
        client.close()
        stream.close()
        raise
    transport = client.get_transport()
    assert transport  # noqa: S101
    transport.set_keepalive(_KEEPALIVE_SECONDS)
    return client


def _feed(channel: paramiko.Channel, content: Iterable[bytes], stall: float) -> None:
    channel.settimeout(stall)
    try:
        for chunk in content:
            channel.sendall(chunk)
        channel.shutdown_write()
    except TimeoutError:
        raise CommandTimeout(f"a command read none of its input for {stall:g} s") from None
    except OSError:
        # The command ended before it read everything: its exit status and output say why.
        return


class _lost(contextlib.AbstractContextManager[None]):
    def __init__(self, host: str) -> None:
        self._host = host

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, paramiko.SSHException | EOFError | OSError) and not isinstance(error, HostError):
            raise HostError(f"the connection was lost: {error}", where=self._host) from error

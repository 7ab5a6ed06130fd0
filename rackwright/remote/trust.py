"""The key that a host presents, for `rackwright trust`."""

from __future__ import annotations

from rackwright.errors import HostError
from rackwright.remote.jumps import Jumps
from rackwright.remote.known_hosts import HostKey
from rackwright.values.targets import Target


def scan(target: Target) -> HostKey:
    """Return the key that the target presents now, trusted or not. Log in only to a jump host, if there is one.

    Raise HostError if the target is unreachable, HostKeyError if its jump host's key isn't pinned.
    """
    if target.address == "@local":
        raise HostError("is this machine: there is no host key to pin", where=target.name)
    from rackwright.remote import ssh
    from rackwright.remote._paramiko import paramiko
    from rackwright.remote.login import host_key

    jumps = Jumps()
    try:
        transport = paramiko.Transport(ssh.reach(target, jumps.to(target, ssh.SshTransport)))
        try:
            transport.start_client(timeout=ssh.LOGIN_SECONDS)
            return host_key(transport.get_remote_server_key())
        finally:
            transport.close()
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise HostError(
            f"no SSH session with {target.address} port {target.port}: {error}", where=target.name
        ) from error
    finally:
        jumps.close()

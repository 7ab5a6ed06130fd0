"""Authentication: our login to a host, and the check of the host's key."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from rackwright.errors import HostError, HostKeyError
from rackwright.remote._paramiko import paramiko
from rackwright.remote.known_hosts import HostKey, Pins
from rackwright.values.targets import Target


class NoGreeting(HostError):
    """The port accepts connections, but the SSH handshake failed; a retry may succeed."""


class Refuse(paramiko.MissingHostKeyPolicy):
    """Trust only pinned keys."""

    def __init__(self, target: Target, pins: Pins) -> None:
        self._target, self._pins = target, pins

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        presented = host_key(key)
        what = f"unknown host key {presented.fingerprint} ({presented.type})"
        should = "compare it with the key that the machine shows on its console, then pin it"
        if presented in self._pins.revoked:
            what, should = f"the host key {presented.fingerprint} is marked @revoked", "give the host a new key"
        elif self._pins.ca:
            should = "the @cert-authority line in known_hosts is ignored; pin the host's own key"
        raise HostKeyError(
            what, where=self._target.name, should=should, next=f"rackwright trust {_name(self._target)}"
        )


def host_key(key: paramiko.PKey) -> HostKey:
    return HostKey(key.get_name(), key.get_base64())


def log_in(
    client: paramiko.SSHClient, target: Target, stream: socket.socket | paramiko.Channel, *, timeout: float
) -> None:
    """Log in over the stream. Raise HostKeyError or HostError with the reason and the remedy."""
    pkey = _given_key(target)
    try:
        client.connect(
            target.address,
            port=target.port,
            username=target.user,
            pkey=pkey,
            key_filename=None if pkey else _configured_keys(target),  # type: ignore[arg-type]  # a list is fine
            # If a key is given, try no other: failed attempts lock us out (PerSourcePenalties, MaxAuthTries).
            allow_agent=pkey is None,
            look_for_keys=pkey is None,
            sock=stream,
            timeout=timeout,
            banner_timeout=timeout,
            auth_timeout=timeout,
            channel_timeout=timeout,
            transport_factory=_transport,
        )
    except paramiko.BadHostKeyException as error:
        raise _changed(target, error) from error
    except paramiko.AuthenticationException as error:
        raise _refused(target, pkey) from error
    except (paramiko.SSHException, EOFError, OSError) as error:
        if "No authentication methods available" in str(error):
            raise HostError(
                "no SSH key to log in with",
                where=target.name,
                should="set ssh.key in the fleet file, or add a key to ssh-agent",
            ) from error
        raise NoGreeting(
            f"no SSH session with {target.address} port {target.port}: {error}", where=target.name
        ) from error


def _transport(*arguments: Any, **options: Any) -> paramiko.Transport:
    transport = paramiko.Transport(*arguments, **options)
    security = transport.get_security_options()
    # AES-GCM first: paramiko compares the checksums of other ciphers in Python, byte by byte.
    security.ciphers = tuple(sorted(security.ciphers, key=lambda name: "gcm" not in name))
    return transport


def key_of(transport: paramiko.Transport) -> str | None:
    """Return the fingerprint (SHA256:…) of the key that the transport used to log in."""
    key = getattr(transport.auth_handler, "private_key", None)
    return key.fingerprint if isinstance(key, paramiko.PKey) else None


def _given_key(target: Target) -> paramiko.PKey | None:
    if target.key is None:
        return None
    path = target.key.expanduser()
    try:
        key = paramiko.PKey.from_path(path)
    except paramiko.PasswordRequiredException as error:
        loaded = _from_agent(path)
        if loaded is None:
            raise HostError(
                f"the SSH key {path} has a passphrase", where=target.name, should="add it to ssh-agent",
                next=f"ssh-add {path}",
            ) from error  # fmt: skip
        key = loaded
    except (OSError, ValueError, paramiko.SSHException, paramiko.pkey.UnknownKeyType) as error:
        raise HostError(f"the SSH key {path} can't be read: {error}", where=target.name) from error
    certificate = target.certificate or path.with_name(f"{path.name}-cert.pub")
    if target.certificate or certificate.exists():
        _load_certificate(key, certificate.expanduser(), target)
    return key


def _load_certificate(key: paramiko.PKey, path: Path, target: Target) -> None:
    try:
        key.load_certificate(str(path))
    except (OSError, ValueError, paramiko.SSHException) as error:
        raise HostError(f"the SSH certificate {path} can't be used: {error}", where=target.name) from error


def _from_agent(path: Path) -> paramiko.PKey | None:
    """Given an encrypted private key's path, return the agent's key that matches the .pub file next to it."""
    public = path.with_name(f"{path.name}.pub")
    if not public.exists() or "SSH_AUTH_SOCK" not in os.environ:
        return None
    wanted = public.read_text().split()[1:2]
    return next((key for key in paramiko.Agent().get_keys() if [key.get_base64()] == wanted), None)


def _configured_keys(target: Target) -> list[str]:
    """Return the IdentityFile lines of ~/.ssh/config for the target's address."""
    path = Path("~/.ssh/config").expanduser()
    if not path.is_file():
        return []
    names: object = paramiko.SSHConfig.from_path(str(path)).lookup(target.address).get("identityfile")
    return [name for name in names if Path(name).exists()] if isinstance(names, list) else []


def _changed(target: Target, error: paramiko.BadHostKeyException) -> HostKeyError:
    now, pinned = host_key(error.key), host_key(error.expected_key)
    return HostKeyError(
        f"THE HOST KEY CHANGED: the pinned key is {pinned.fingerprint} ({pinned.type}), "
        f"the host presents {now.fingerprint} ({now.type})",
        where=target.name,
        should="either the machine was reinstalled, or another machine answers in its place: "
        "find out which, and pin the new key only if the machine shows it on its console",
        next=f"rackwright trust {_name(target)}",
    )


def _refused(target: Target, pkey: paramiko.PKey | None) -> HostError:
    with_what = f"with the key {target.key}" if pkey else "with the keys in ssh-agent and ~/.ssh"
    return HostError(
        f"the login of {target.user} {with_what} was refused",
        where=target.name,
        should=f"the public key should be in ~{target.user}/.ssh/authorized_keys on the host",
    )


def _name(target: Target) -> str:
    return target.name.partition(",")[0]

"""Secrets of units as systemd credentials that only this host can decrypt; compared by content, not ciphertext."""

from __future__ import annotations

import hashlib
import shlex
from base64 import b64encode
from collections.abc import Generator
from dataclasses import dataclass

from pyinfra.api.command import PyinfraCommand, StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.diff import HIDDEN, show
from rackwright.operations.facts.credential import CredentialDigests
from rackwright.operations.filesystem.file import SUFFIX
from rackwright.values.secrets import Secret


@dataclass(frozen=True)
class Credential:
    """One secret, encrypted at a path, with the name under which a unit loads it."""

    path: str
    name: str
    secret: Secret


@operation()
def credentials(*, wanted: tuple[Credential, ...]) -> Generator[PyinfraCommand]:
    """Ensure that each path (0600, owned by root) decrypts on this host to its secret. The folders must exist.

    A running unit keeps the secrets with which it was started.
    """
    found = host.get_fact(CredentialDigests, wanted=tuple((one.path, one.name) for one in wanted))
    differing = [one for one in wanted if found.get(one.path) != _digest(one.secret)]
    if differing:
        show("\n".join(f"{one.path}: {HIDDEN if one.path in found else 'new'}" for one in differing))
    for one in differing:
        yield _written(one)


def _digest(secret: Secret) -> str:
    return hashlib.sha256(secret.reveal().encode()).hexdigest()


def _written(one: Credential) -> StringCommand:
    """The secret is sent over standard input, and stored on the host only encrypted."""
    path, new = shlex.quote(one.path), shlex.quote(one.path + SUFFIX)
    # Not bound to a TPM: a firmware update changes its measurements, and the secret would be lost.
    # In base64, because pyinfra adds a newline to its input.
    encrypt = f"base64 -d | systemd-creds encrypt --with-key=host --name={shlex.quote(one.name)} - {new}"
    steps = f"{encrypt} && chmod 0600 -- {new} && mv -fT -- {new} {path}"
    return StringCommand(
        f"( umask 077; {steps} || {{ rm -f -- {new}; false; }} )",
        _stdin=b64encode(one.secret.reveal().encode()).decode(),
    )

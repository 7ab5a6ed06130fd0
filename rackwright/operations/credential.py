"""Secrets of units as systemd credentials that only this host decrypts; compared by content, never by ciphertext."""

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
    """One secret, encrypted at a path, under the name that a unit loads it by."""

    path: str
    name: str
    secret: Secret


@operation()
def credentials(*, wanted: tuple[Credential, ...]) -> Generator[PyinfraCommand]:
    """Afterwards each path (0600, root's) decrypts on this host to its secret; the folders must be there.

    A unit that runs goes on with what it was started with.
    """
    found = host.get_fact(CredentialDigests, wanted=tuple((one.path, one.name) for one in wanted))
    differing = [one for one in wanted if found.get(one.path) != _digest(one.secret)]
    if differing:
        show("\n".join(f"{one.path}: {HIDDEN if one.path in found else 'is new'}" for one in differing))
    for one in differing:
        yield _written(one)


def _digest(secret: Secret) -> str:
    return hashlib.sha256(secret.reveal().encode()).hexdigest()


def _written(one: Credential) -> StringCommand:
    """The secret goes over standard input and is on the host's disk only encrypted."""
    path, new = shlex.quote(one.path), shlex.quote(one.path + SUFFIX)
    # Not bound to a TPM: its measurements change with a firmware update, and the secret would be lost with them.
    # In base64, for a line end would be added to anything else.
    encrypt = f"base64 -d | systemd-creds encrypt --with-key=host --name={shlex.quote(one.name)} - {new}"
    steps = f"{encrypt} && chmod 0600 -- {new} && mv -fT -- {new} {path}"
    return StringCommand(
        f"( umask 077; {steps} || {{ rm -f -- {new}; false; }} )",
        _stdin=b64encode(one.secret.reveal().encode()).decode(),
    )

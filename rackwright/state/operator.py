"""Who is at work: the operator as lease, record and audit log name them."""

from __future__ import annotations

import base64
import binascii
import getpass
import hashlib
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Operator:
    who: str
    """user@machine, with the fingerprint of the SSH key where it is known."""
    machine: str


def operator(key: Path | None = None) -> Operator:
    """Given the private key's path, if one is used, return who works here."""
    machine = socket.gethostname()
    name = f"{_user()}@{machine}"
    fingerprint = fingerprint_of(key.with_name(key.name + ".pub")) if key else None
    return Operator(f"{name} ({fingerprint})" if fingerprint else name, machine)


def fingerprint_of(public_key: Path) -> str | None:
    """Given a public key file, return SHA256:… as ssh-keygen -l shows it; None if it can't be read."""
    try:
        blob = base64.b64decode(public_key.read_text().split()[1], validate=True)
    except (OSError, UnicodeDecodeError, IndexError, binascii.Error):
        return None
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"

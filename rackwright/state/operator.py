"""The operator's name in lease, record and audit log."""

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
    """user@machine, with the person in the fleet file and the fingerprint of the SSH key if they are known."""
    machine: str


def operator(fingerprint: str | None = None, person: str | None = None) -> Operator:
    """Return the operator, given the fingerprint of the SSH key in use and the person it belongs to, if known."""
    machine = socket.gethostname()
    known = ", ".join(word for word in (person, fingerprint) if word)
    name = f"{_user()}@{machine}"
    return Operator(f"{name} ({known})" if known else name, machine)


def fingerprint_of(public_key: Path) -> str | None:
    """Given a public key file, return its fingerprint SHA256:… like ssh-keygen -l, None if it can't be read."""
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

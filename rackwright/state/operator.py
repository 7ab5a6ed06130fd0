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
    """user@machine, with the person of the fleet file and the fingerprint of the SSH key where they are known."""
    machine: str


def operator(fingerprint: str | None = None, person: str | None = None) -> Operator:
    """Given the SSH key that is used, and whose it is as far as that is known, return who works here."""
    machine = socket.gethostname()
    known = ", ".join(word for word in (person, fingerprint) if word)
    name = f"{_user()}@{machine}"
    return Operator(f"{name} ({known})" if known else name, machine)


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

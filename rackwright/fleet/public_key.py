"""SSH public keys, as in the one line of a .pub file."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rackwright.values.secrets import Secret

SMALLEST_RSA = 3072
"""Bits. NIST SP 800-57 part 1, table 2: 128 bits of security, as ed25519 has."""
_TYPES = (
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
)
_PARTS = {"ssh-ed25519": 2, "sk-ssh-ed25519@openssh.com": 3, "sk-ecdsa-sha2-nistp256@openssh.com": 4}
"""Number of strings in a key, by type; other types have three. RFC 4253, 5656, 8709; OpenSSH's PROTOCOL.u2f."""
_SHOULD = "should be the one line of a .pub file, like: ssh-ed25519 AAAA… anna@laptop"


@dataclass(frozen=True)
class PublicKey:
    type: str
    blob: str
    """Base64."""
    comment: str = ""

    @property
    def line(self) -> str:
        """The line for authorized_keys."""
        return f"{self.type} {self.blob} {self.comment}".rstrip()

    @property
    def fingerprint(self) -> str:
        """SHA256:…, as in the output of ssh-keygen -l and in sshd's log."""
        digest = hashlib.sha256(base64.b64decode(self.blob)).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def parse_public_key(text: str) -> PublicKey:
    """Return the key of one line. Raise ValueError with what is wrong; the text itself is never shown."""
    if "PRIVATE KEY" in text:
        raise ValueError(
            "is a PRIVATE key, exposed to all who can read this file; create a new key pair and write its .pub line"
        )
    words = text.split(maxsplit=2)
    if not text.isprintable() or len(words) < 2:
        raise ValueError(_SHOULD)
    kind, blob, comment = words[0], words[1], words[2] if len(words) > 2 else ""
    if "-cert-v01@" in kind:
        raise ValueError(f"is a certificate, not a key; {_SHOULD}")
    if kind not in _TYPES:
        should = "should be ssh-ed25519, an ecdsa-sha2-… or sk-… key, or ssh-rsa"
        raise ValueError(f"is too weak; {should}" if kind == "ssh-dss" else _SHOULD)
    parts = _parts(blob)
    if not parts or parts[0] != kind.encode() or len(parts) != _PARTS.get(kind, 3):
        raise ValueError("is damaged or incomplete; copy the line of the .pub file again")
    if kind == "ssh-rsa" and (bits := int.from_bytes(parts[2], "big").bit_length()) < SMALLEST_RSA:
        raise ValueError(f"has {bits} bits; should have {SMALLEST_RSA} or more, or better, be an ssh-ed25519 key")
    if kind == "ssh-ed25519" and len(parts[1]) != 32:
        raise ValueError("is damaged: an ed25519 key has 32 bytes; copy the line of the .pub file again")
    return PublicKey(kind, blob, comment)


def keys_in(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield fingerprint and comment of each key in authorized_keys' lines, whatever its type and options."""
    for line in lines:
        found = re.search(r"(?:^|\s)([a-z0-9@.-]+)\s+(AAAA[A-Za-z0-9+/]+={0,3})(?:\s+(.*))?$", line.strip())
        if (
            found
            and not line.lstrip().startswith("#")
            and (parts := _parts(found[2]))
            and parts[0] == found[1].encode()
        ):
            yield PublicKey(found[1], found[2]).fingerprint, found[3] or ""


def _parts(blob: str) -> list[bytes]:
    """Return the length-prefixed strings in a base64 text; empty if it is malformed."""
    try:
        rest = base64.b64decode(blob, validate=True)
    except (binascii.Error, ValueError):
        return []
    parts = []
    while rest:
        size = int.from_bytes(rest[:4], "big")
        if len(rest) < 4 + size:
            return []
        parts.append(rest[4 : 4 + size])
        rest = rest[4 + size :]
    return parts


def fingerprint_of_private(key: Secret) -> str | None:
    """Return the fingerprint of a private SSH key, None if it isn't one or has a passphrase."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization as form

    text = f"{key.reveal()}\n".encode()
    load = form.load_ssh_private_key if b"BEGIN OPENSSH PRIVATE KEY" in text else form.load_pem_private_key
    try:
        public = load(text, password=None).public_key()
        line = public.public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH).decode()
        return parse_public_key(line).fingerprint
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None

"""SSH public keys as they stand in one line of a .pub file."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

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
"""How many strings a key is made of, by type; else three. RFC 4253, 5656, 8709; PROTOCOL.u2f of OpenSSH."""
_SHOULD = "should be the one line of a .pub file, like: ssh-ed25519 AAAA… anna@laptop"


@dataclass(frozen=True)
class PublicKey:
    type: str
    blob: str
    """Base64."""
    comment: str = ""

    @property
    def line(self) -> str:
        """As authorized_keys has it."""
        return f"{self.type} {self.blob} {self.comment}".rstrip()

    @property
    def fingerprint(self) -> str:
        """SHA256:…, as ssh-keygen -l and sshd's log show it."""
        digest = hashlib.sha256(base64.b64decode(self.blob)).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def parse_public_key(text: str) -> PublicKey:
    """Given one line, return the key. Raise ValueError saying what it is instead; what it holds is never shown."""
    if "PRIVATE KEY" in text:
        raise ValueError("is a PRIVATE key: whoever reads this file has it now; make a new pair, and write its .pub")
    words = text.split(maxsplit=2)
    if not text.isprintable() or len(words) < 2:
        raise ValueError(_SHOULD)
    kind, blob, comment = words[0], words[1], words[2] if len(words) > 2 else ""
    if "-cert-v01@" in kind:
        raise ValueError(f"is a certificate, no key; {_SHOULD}")
    if kind not in _TYPES:
        should = "should be ssh-ed25519, an ecdsa-sha2-… or sk-… key, or ssh-rsa"
        raise ValueError(f"is no key that is good enough; {should}" if kind == "ssh-dss" else _SHOULD)
    parts = _parts(blob)
    if not parts or parts[0] != kind.encode() or len(parts) != _PARTS.get(kind, 3):
        raise ValueError("is damaged: its letters are no whole key of its type; copy the line of the .pub file again")
    if kind == "ssh-rsa" and (bits := int.from_bytes(parts[2], "big").bit_length()) < SMALLEST_RSA:
        raise ValueError(f"has {bits} bits; should have {SMALLEST_RSA} or more, or better be ssh-ed25519")
    if kind == "ssh-ed25519" and len(parts[1]) != 32:
        raise ValueError("is damaged: an ed25519 key has 32 bytes; copy the line of the .pub file again")
    return PublicKey(kind, blob, comment)


def keys_in(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Given authorized_keys' lines, return fingerprint and comment of each key, of any type and with any options."""
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
    """Return the length-prefixed strings that base64 holds; none if it isn't made of whole ones."""
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

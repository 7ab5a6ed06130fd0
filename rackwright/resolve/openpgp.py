"""Keyrings that sign repositories: the keys in them, and their form inside apt's sources.

Format: RFC 4880, 4.2 (packets), 5.5.2 (public keys), 6.2 (armor), 12.2 (fingerprints).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator

_PUBLIC_KEY = 6
_BEGIN, _END = "-----BEGIN PGP PUBLIC KEY BLOCK-----", "-----END PGP PUBLIC KEY BLOCK-----"


def fingerprints(keyring: bytes) -> tuple[str, ...]:
    """Return the fingerprints of a keyring's primary keys, in upper case. The keyring may be armored.

    Raise ValueError if it isn't a keyring, or contains keys of another version than 4.
    """
    return tuple(_fingerprint(body) for tag, body in _packets(_binary(keyring)) if tag == _PUBLIC_KEY)


def signed_by(keyring: bytes) -> str:
    """Return the keyring as a deb822 field Signed-By (apt 2.4 and later), with a newline at its end."""
    content = base64.b64encode(_binary(keyring)).decode()
    lines = [_BEGIN, "", *(content[start : start + 64] for start in range(0, len(content), 64)), _END]
    return "Signed-By:\n" + "".join(f" {line or '.'}\n" for line in lines)


def _binary(keyring: bytes) -> bytes:
    if not keyring.lstrip().startswith(_BEGIN.encode()):
        return keyring
    found = b""
    for block in keyring.decode("ascii", "replace").split(_BEGIN)[1:]:
        # Headers end at the first empty line; a line that starts with = is the checksum.
        _, _, body = block.partition(_END)[0].replace("\r", "").partition("\n\n")
        lines = [line for line in body.splitlines() if line and not line.startswith("=")]
        found += base64.b64decode("".join(lines), validate=True)
    return found


def _packets(content: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place < len(content):
        first = content[place]
        if not first & 0x80 or place + 1 >= len(content):
            raise ValueError("is not an OpenPGP keyring")
        tag, start, length = _new(content, place) if first & 0x40 else _old(content, place)
        if start + length > len(content):
            raise ValueError("is cut short")
        yield tag, content[start : start + length]
        place = start + length


def _old(content: bytes, place: int) -> tuple[int, int, int]:
    tag, kind = (content[place] >> 2) & 0x0F, content[place] & 0x03
    size = {0: 1, 1: 2, 2: 4}.get(kind)
    if size is None:
        raise ValueError("has a packet without a length")
    return tag, place + 1 + size, int.from_bytes(content[place + 1 : place + 1 + size])


def _new(content: bytes, place: int) -> tuple[int, int, int]:
    tag, first = content[place] & 0x3F, content[place + 1]
    if first < 192:
        return tag, place + 2, first
    if first < 224:
        return tag, place + 3, ((first - 192) << 8) + int.from_bytes(content[place + 2 : place + 3]) + 192
    if first == 255:
        return tag, place + 6, int.from_bytes(content[place + 2 : place + 6])
    raise ValueError("has a packet in parts")


def _fingerprint(body: bytes) -> str:
    if body[:1] != b"\x04":
        raise ValueError("has a key of another version than 4")
    if len(body) > 0xFFFF:
        raise ValueError("has a key that is too long")
    # The format requires SHA-1. It only identifies keys here: both keys of a collision have the same owner.
    return hashlib.sha1(b"\x99" + len(body).to_bytes(2) + body, usedforsecurity=False).hexdigest().upper()

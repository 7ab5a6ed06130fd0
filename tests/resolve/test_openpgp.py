from __future__ import annotations

import base64
import hashlib
import random
import re
from email import message_from_string
from pathlib import Path

import pytest

from rackwright.resolve.openpgp import fingerprints, signed_by

# A version 4 RSA key: version, time, algorithm, then two numbers, each preceded by its length in bits.
BODY = b"\x04" + (1_600_000_000).to_bytes(4) + b"\x01" + (256).to_bytes(2) + b"\x80" * 32 + b"\x00\x11\x01\x00\x01"
PRINT = hashlib.sha1(b"\x99" + len(BODY).to_bytes(2) + BODY, usedforsecurity=False).hexdigest().upper()
LONG = BODY + b"\x00" * 400
LONG_PRINT = hashlib.sha1(b"\x99" + len(LONG).to_bytes(2) + LONG, usedforsecurity=False).hexdigest().upper()
NAME = bytes((0x80 | 13 << 2, 4)) + b"acme"
SUBKEY = bytes((0x80 | 14 << 2, len(BODY))) + BODY
DEBIAN = Path("/usr/share/keyrings/debian-archive-bookworm-stable.gpg")


def old(body: bytes, size: int) -> bytes:
    return bytes((0x80 | 6 << 2 | {1: 0, 2: 1, 4: 2}[size],)) + len(body).to_bytes(size) + body


def new(body: bytes, size: int) -> bytes:
    first = {
        1: lambda: len(body).to_bytes(1),
        2: lambda: (len(body) - 192 + (192 << 8)).to_bytes(2),
        5: lambda: b"\xff" + len(body).to_bytes(4),
    }[size]()
    return bytes((0xC0 | 6,)) + first + body


def armored(content: bytes, *headers: str, checksum: str = "") -> bytes:
    begin, end = "-----BEGIN PGP PUBLIC KEY BLOCK-----", "-----END PGP PUBLIC KEY BLOCK-----"
    text = base64.b64encode(content).decode()
    return "\n".join([begin, *headers, "", text[:60], text[60:], *([checksum] if checksum else []), end, ""]).encode()


GOOD = {
    "old format, one byte of length": (old(BODY, 1), [PRINT]),
    "old format, two": (old(BODY, 2), [PRINT]),
    "old format, four": (old(BODY, 4), [PRINT]),
    "new format, one byte of length": (new(BODY, 1), [PRINT]),
    "new format, two": (new(LONG, 2), [LONG_PRINT]),
    "new format, five": (new(BODY, 5), [PRINT]),
    "names and subkeys are no primary keys": (old(BODY, 2) + NAME + SUBKEY, [PRINT]),
    "two keys": (old(BODY, 2) + NAME + new(LONG, 2), [PRINT, LONG_PRINT]),
    "armored": (armored(old(BODY, 2)), [PRINT]),
    "armored, with headers and checksum": (armored(old(BODY, 2), "Version: GnuPG v2", checksum="=aB1/"), [PRINT]),
    "armored, with a carriage return in each line": (armored(old(BODY, 2)).replace(b"\n", b"\r\n"), [PRINT]),
    "two armored blocks": (armored(old(BODY, 2)) + armored(new(LONG, 2)), [PRINT, LONG_PRINT]),
    "nothing": (b"", []),
}


@pytest.mark.parametrize("case", GOOD)
def test_the_fingerprints_of_primary_keys_are_found(case: str) -> None:
    keyring, wanted = GOOD[case]
    assert list(fingerprints(keyring)) == wanted


@pytest.mark.skipif(not DEBIAN.exists(), reason="this machine has no Debian keyring")
def test_debians_own_keyring_has_the_fingerprint_that_debian_publishes() -> None:
    # https://ftp-master.debian.org/keys.html: Debian Stable Release Key (12/bookworm)
    assert "4D64FEC119C2029067D6E791F8D2585B8783D481" in fingerprints(DEBIAN.read_bytes())
    assert fingerprints(armored(DEBIAN.read_bytes())) == fingerprints(DEBIAN.read_bytes())


BAD = {
    "a web page": b"<html>404</html>",
    "one byte": b"\x99",
    "a key of version 3": old(b"\x03" + BODY[1:], 2),
    "a key of version 6": old(b"\x06" + BODY[1:], 2),
    "an empty key": old(b"", 1),
    "cut short": old(BODY, 2)[:-1],
    "a length of its own kind": bytes((0x80 | 6 << 2 | 3,)) + BODY,
    "a packet in parts": bytes((0xC0 | 6, 0xE4)) + BODY,
    "a key longer than any": old(BODY + b"\x00" * 70_000, 4),
    "armor around nothing of base64": armored(old(BODY, 2)).replace(b"mQ", b"!!"),
    "armor of other letters": armored(old(BODY, 2)).replace(b"mQ", "ä".encode()),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_keyring_is_refused(case: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        fingerprints(BAD[case])


def test_garbage_never_raises_anything_else() -> None:
    chance = random.Random(14)  # noqa: S311
    for _ in range(3000):
        start = chance.choice(
            [b"\x99", b"\xc6", b"\x98", b"\x9a", b"\xc6\xff", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n"]
        )
        keyring = start + chance.randbytes(chance.randrange(40))
        try:
            found = fingerprints(keyring)
        except ValueError:
            continue
        assert all(re.fullmatch("[0-9A-F]{40}", one) for one in found)


def test_a_keyring_stands_in_apts_sources_as_one_field() -> None:
    keyring = old(BODY, 2) + NAME
    text = signed_by(keyring)
    lines = text.splitlines()
    assert text.endswith("\n")
    assert lines[:3] == ["Signed-By:", " -----BEGIN PGP PUBLIC KEY BLOCK-----", " ."]
    assert lines[-1] == " -----END PGP PUBLIC KEY BLOCK-----"
    assert all(line.startswith(" ") and line.strip() for line in lines[1:])
    # As apt reads it: a line with one dot is an empty line.
    value = message_from_string(f"Types: deb\n{text}")["Signed-By"]
    armor = "\n".join("" if line.strip() == "." else line.strip() for line in value.splitlines() if line)
    assert fingerprints(armor.encode()) == (PRINT,)


def test_an_armored_keyring_becomes_the_same_field_as_a_binary_one() -> None:
    assert signed_by(armored(old(BODY, 2), "Comment: x", checksum="=aB1/")) == signed_by(old(BODY, 2))

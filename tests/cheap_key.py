"""A restic repository whose key costs no time: each command of restic's spends half a second on a real one."""

from __future__ import annotations

import hashlib
import json
import os
from base64 import b64decode, b64encode
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305

_CHEAP = {"N": 2, "r": 1, "p": 1}


def make_cheap(repository: Path, password: str) -> None:
    """Encrypt the repository's master key anew, with a key that scrypt derives from the password at once."""
    (path,) = (repository / "keys").iterdir()
    stored = json.loads(path.read_bytes())
    sealed = b64decode(stored["data"])
    nonce, text = sealed[:16], sealed[16:-16]
    master = _ctr(_derived(password, stored)[:32], nonce, text)
    stored |= _CHEAP
    key = _derived(password, stored)
    nonce = os.urandom(16)
    text = _ctr(key[:32], nonce, master)
    stored["data"] = b64encode(nonce + text + _mac(key[32:], nonce, text)).decode()
    content = json.dumps(stored).encode()
    path.unlink()
    path.with_name(hashlib.sha256(content).hexdigest()).write_bytes(content)


def _derived(password: str, stored: dict[str, int | str]) -> bytes:
    n, r, p = (int(stored[name]) for name in ("N", "r", "p"))
    salt = b64decode(str(stored["salt"]))
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=2**28, dklen=64)


def _ctr(key: bytes, nonce: bytes, text: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.CTR(nonce)).encryptor().update(text)


def _mac(key: bytes, nonce: bytes, text: bytes) -> bytes:
    """Return Poly1305-AES: restic's key is AES's key, then Poly1305's r."""
    mask = Cipher(algorithms.AES(key[:16]), modes.ECB()).encryptor().update(nonce)  # noqa: S305 # one block
    return Poly1305.generate_tag(key[16:] + mask, text)

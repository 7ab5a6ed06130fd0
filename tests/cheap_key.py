"""Restic repositories whose keys cost no time: each command of restic's spends half a second on a real one."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from base64 import b64decode, b64encode
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305

_CHEAP = {"N": 2, "r": 1, "p": 1}
_FIRST = "the first password"


def empty_repository(folder: Path, password: str) -> None:
    """Leave an empty repository in a new folder. All of a process have one ID and one master key."""
    folder.mkdir(parents=True)
    made = _made()
    for name in made.folders:
        (folder / name).mkdir(mode=0o700)
    cheap = _resealed(made.key, _FIRST, password)
    (folder / "config").write_bytes(made.config)
    (folder / "keys" / hashlib.sha256(cheap).hexdigest()).write_bytes(cheap)


def cheap_key(key: bytes, password: str) -> bytes:
    """Return a repository's key anew; its file's name is its SHA-256."""
    return _resealed(key, password, password)


@dataclass(frozen=True)
class Master:
    """A repository's master key."""

    encrypt: bytes
    mac: bytes

    def sealed(self, text: bytes) -> bytes:
        """Return the text as restic stores it."""
        nonce = os.urandom(16)
        sealed = _ctr(self.encrypt, nonce, text)
        return nonce + sealed + _mac(self.mac, nonce, sealed)


def master_key(repository: Path, password: str) -> Master:
    """Return the key of a repository that has one password."""
    (path,) = (repository / "keys").iterdir()
    stored = json.loads(path.read_bytes())
    sealed = b64decode(stored["data"])
    master = json.loads(_ctr(_derived(password, stored)[:32], sealed[:16], sealed[16:-16]))
    mac = b64decode(master["mac"]["k"]) + b64decode(master["mac"]["r"])
    return Master(b64decode(master["encrypt"]), mac)


@dataclass(frozen=True)
class _Repository:
    folders: tuple[Path, ...]
    config: bytes
    key: bytes


@cache
def _made() -> _Repository:
    """Return what restic makes. Each process asks it once."""
    with TemporaryDirectory() as name:
        environment = {**os.environ, "RESTIC_PASSWORD": _FIRST}
        subprocess.run(["restic", "init", "-q", "--no-cache", "-r", name], env=environment, check=True)
        folder = Path(name)
        (key,) = (folder / "keys").iterdir()
        # restic makes the folders in data when it needs them, and all 256 of them would cost more than the rest.
        folders = tuple(path.relative_to(folder) for path in folder.iterdir() if path.is_dir())
        return _Repository(folders, (folder / "config").read_bytes(), key.read_bytes())


def _resealed(key: bytes, old: str, new: str) -> bytes:
    """Return the key with the master key encrypted anew; scrypt derives its key from the new password at once."""
    stored = json.loads(key)
    sealed = b64decode(stored["data"])
    master = _ctr(_expensive(old, key)[:32], sealed[:16], sealed[16:-16])
    stored |= _CHEAP
    derived = _derived(new, stored)
    nonce = os.urandom(16)
    text = _ctr(derived[:32], nonce, master)
    stored["data"] = b64encode(nonce + text + _mac(derived[32:], nonce, text)).decode()
    return json.dumps(stored).encode()


@cache
def _expensive(password: str, key: bytes) -> bytes:
    return _derived(password, json.loads(key))


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

"""Signatures by ssh-keygen -Y, as in its manual page: a file that says who signed what, for which purpose."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rackwright.errors import ProofError, RackwrightError
from rackwright.fleet.public_key import PublicKey
from rackwright.lifecycle.backup.private_folder import private_folder
from rackwright.lifecycle.drill.evidence.signers import Signer, lines_of
from rackwright.terminal import visible

REPORT = "rackwright-drill"
REVIEW = "rackwright-drill-review"
"""Purposes (namespaces): a signature for one doesn't count for the other."""
LIMIT = 64 << 10
"""Bytes. No signature is larger."""
_ASK_SECONDS = 600
"""How long ssh-keygen or the agent may wait for a person: a passphrase, a touch."""
_SECONDS = 20
_MOST_WORDS = 300


@dataclass(frozen=True)
class SigningKey:
    """A key that has made a signature, and whose it is."""

    signer: str
    key: PublicKey
    private: Path | None
    """The private key's file. None: the agent has it."""


def sign(content: bytes, key: SigningKey, purpose: str) -> bytes:
    """Return the signature. ssh-keygen asks for a passphrase itself, or the agent signs. Raise RackwrightError."""
    with private_folder() as folder:
        return signed_with(content, key.private or _public(folder, key.key), purpose)


def signed_with(content: bytes, file: Path, purpose: str) -> bytes:
    """Return the signature by the key in this file, private or, with an agent, public. Raise RackwrightError."""
    done = _ssh_keygen(["-Y", "sign", "-n", purpose, "-f", str(file)], content, dict(os.environ), _ASK_SECONDS)
    if done.returncode != 0:
        raise RackwrightError(
            f"ssh-keygen didn't sign: {_words(done)}",
            where=str(file),
            should="should be a key that you can use",
            next="ssh-add -l",
        )
    return done.stdout


def verify_signature(
    content: bytes, signature: bytes, name: str, signers: Iterable[Signer], purpose: str, at: datetime
) -> Signer:
    """Return the signer, if a key of this name signed the content for this purpose, and could at this time.

    Raise ProofError if not.
    """
    fingerprint = fingerprint_in(content, signature, purpose)
    found = among(fingerprint, signers)
    if not found:
        raise ProofError(f"signed by {fingerprint}, which isn't a signer's key")
    own = [one for one in found if one.name == name]
    if not own:
        raise ProofError(f"signed by {found[0].name}, not by {name}")
    able = [one for one in own if one.may(purpose, at)]
    if not able:
        raise ProofError(f"{name}'s key may not sign this, or not at this time")
    _verify(content, signature, able[0], purpose, at)
    return able[0]


def _verify(content: bytes, signature: bytes, signer: Signer, purpose: str, at: datetime) -> None:
    moment = f"{at.astimezone(UTC):%Y%m%d%H%M%S}"
    with private_folder() as folder:
        (folder / "signature").write_bytes(signature)
        (folder / "signers").write_text(lines_of([signer]), encoding="utf-8")
        where = ["-f", str(folder / "signers"), "-s", str(folder / "signature")]
        words = ["-Y", "verify", *where, "-I", signer.name, "-n", purpose, f"-Overify-time={moment}"]
        done = _ssh_keygen(words, content, _QUIET, _SECONDS)
    if done.returncode != 0:
        raise ProofError(f"the signature isn't valid: {_words(done)}")


def fingerprint_in(content: bytes, signature: bytes, purpose: str) -> str:
    """Return the fingerprint of the key that made the signature, no matter whose it is.

    Raise ProofError if the signature isn't one for this content and purpose.
    """
    with private_folder() as folder:
        (folder / "signature").write_bytes(signature)
        words = ["-Y", "check-novalidate", "-n", purpose, "-s", str(folder / "signature")]
        done = _ssh_keygen(words, content, _QUIET, _SECONDS)
    found = re.search(rb" key (SHA256:[A-Za-z0-9+/]{43})\s*$", done.stdout)
    if done.returncode != 0 or not found:
        raise ProofError(f"the signature isn't valid: {_words(done)}")
    return found[1].decode()


def among(fingerprint: str, signers: Iterable[Signer]) -> tuple[Signer, ...]:
    """Return the entries with this key."""
    return tuple(signer for signer in signers if signer.key.fingerprint == fingerprint)


# Its dates are in local time, so both this program's and those without a Z are taken as UTC.
_QUIET = {"LC_ALL": "C", "TZ": "UTC", "PATH": os.environ.get("PATH", os.defpath)}


def _ssh_keygen(
    words: list[str], content: bytes, environment: dict[str, str], seconds: int
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["ssh-keygen", *words], input=content, capture_output=True, timeout=seconds, env=environment, check=False
        )
    except FileNotFoundError:
        raise RackwrightError("ssh-keygen isn't installed", next="apt install openssh-client") from None
    except subprocess.TimeoutExpired:
        raise RackwrightError(f"ssh-keygen didn't answer within {seconds} s") from None


def _public(folder: Path, key: PublicKey) -> Path:
    path = folder / "key.pub"
    path.write_text(f"{key.line}\n", encoding="utf-8")
    return path


def _words(done: subprocess.CompletedProcess[bytes]) -> str:
    text = (done.stderr + b" " + done.stdout).decode(errors="replace")
    return visible(" ".join(text.split()))[:_MOST_WORDS] or f"exit code {done.returncode}"

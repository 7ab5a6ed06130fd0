"""Which key signs. It is found, and tried, before a drill begins: a drill that can't be signed is no evidence."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from rackwright.errors import RackwrightError, UsageError
from rackwright.fleet.public_key import PublicKey, parse_public_key
from rackwright.lifecycle.drill.evidence import signature
from rackwright.lifecycle.drill.evidence.signature import REPORT, SigningKey, among, fingerprint_in, signed_with
from rackwright.lifecycle.drill.evidence.signers import Signer

_TRIAL = "rackwright-drill-trial"
"""A purpose of its own: a trial's signature proves nothing else."""
_TEXT = b"Can this key sign?\n"
_MOST_KEYS = 50
_SECONDS = 20


def signing_key(
    signers: Sequence[Signer], given: Path | None, now: datetime, *, purpose: str = REPORT, besides: str = ""
) -> SigningKey:
    """Return the key that signs, after a trial: the given one, else the first of the agent's keys and ~/.ssh/id_*
    that may sign for the purpose now. `besides`: the name of a signer whose keys don't count.

    Raise UsageError if there is none, RackwrightError if it can't sign.
    """
    allowed = [one for one in signers if one.may(purpose, now) and one.name != besides]
    if given:
        return _given(given.expanduser(), signers, allowed, purpose)
    for key, private in (*_in_agent(), *_in_home()):
        if found := among(key.fingerprint, allowed):
            candidate = SigningKey(found[0].name, key, private)
            signature.sign(_TEXT, candidate, _TRIAL)
            return candidate
    raise UsageError(
        "no key of yours may sign",
        should=f"should be a key of {_names(allowed)} in ssh-agent or ~/.ssh, or the file in --sign-with",
        listed=[f"{one.name}: {one.key.fingerprint}" for one in allowed[:_MOST_KEYS]],
        next="rackwright drill signers show",
    )


def _given(file: Path, signers: Sequence[Signer], allowed: Sequence[Signer], purpose: str) -> SigningKey:
    if not file.is_file():
        raise UsageError("isn't a file", where=f"--sign-with {file}", should="should be your private SSH key")
    fingerprint = fingerprint_in(_TEXT, signed_with(_TEXT, file, _TRIAL), _TRIAL)
    if found := among(fingerprint, allowed):
        return SigningKey(found[0].name, replace(found[0].key, comment=""), file)
    known = among(fingerprint, signers)
    what = f"{known[0].name}'s key may not sign this" if known else f"{fingerprint} isn't a signer's key"
    raise UsageError(
        what,
        where=f"--sign-with {file}",
        should=f"should be a key of {_names(allowed)} that may sign for {purpose} now",
        next="rackwright drill signers show",
    )


def _names(signers: Sequence[Signer]) -> str:
    return ", ".join(sorted({one.name for one in signers})) or "a person in `people`"


def _in_agent() -> Iterator[tuple[PublicKey, None]]:
    if not os.environ.get("SSH_AUTH_SOCK"):
        return
    try:
        done = subprocess.run(["ssh-add", "-L"], capture_output=True, timeout=_SECONDS, check=False, text=True)
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return
    for line in done.stdout.splitlines()[:_MOST_KEYS] if done.returncode == 0 else ():
        if key := _key(line):
            yield key, None


def _in_home() -> Iterator[tuple[PublicKey, Path]]:
    for path in sorted(Path("~/.ssh").expanduser().glob("id_*.pub"))[:_MOST_KEYS]:
        private = path.with_suffix("")
        try:
            key = _key(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            continue
        if key and private.is_file():
            yield key, private


def _key(line: str) -> PublicKey | None:
    try:
        return parse_public_key(line.strip())
    except (ValueError, RackwrightError):
        return None

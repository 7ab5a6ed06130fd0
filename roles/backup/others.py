"""Whether a host's own secrets open another host's repository: what to run on the host, and what its answer means."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path

from rackwright.roles.backup.settings import Repository

SCRIPT = (Path(__file__).parent / "templates" / "other.sh").read_text()
_OPENED, _REFUSED, _NONE, _WRONG_PASSWORD = "0", "1", "10", "12"
"""restic's exit codes."""


class Opens(StrEnum):
    """How far a host gets with its own secrets at another host's repository."""

    READS = "reads"
    """It can read the snapshots."""
    REACHES = "reaches"
    """The server lets it in; only the password is another."""
    REFUSED = "refused"
    UNKNOWN = "unknown"
    """Its own repository doesn't open either, or the server doesn't answer, or the connection broke."""


def question(own: Repository, url: str) -> str:
    """Return a shell command that tries the URL with the installed login and prints two answers: see other.sh.

    Nothing is printed if this repository isn't installed yet.

    It changes nothing and ends within half a minute.
    """
    secrets = [f"-p LoadCredentialEncrypted={name}:{own.stem}.{name}.cred" for name in own.credentials]
    run = "systemd-run --quiet --pipe --wait --collect --expand-environment=no -p CacheDirectory=rackwright-backup"
    run += " -p CacheDirectoryMode=0700"
    script = shlex.join(["sh", "-c", SCRIPT, "other.sh", own.name, url])
    return f"[ ! -e {own.stem}.values ] || {run} {' '.join(secrets)} {script} </dev/null 2>/dev/null || echo failed"


def parse(codes: str) -> Opens:
    """Given what `question` printed, return how far the host gets."""
    own, _, other = " ".join(codes.split()).partition(" ")
    if own != _OPENED:
        return Opens.UNKNOWN
    meanings = {
        _OPENED: Opens.READS,
        _WRONG_PASSWORD: Opens.REACHES,
        _REFUSED: Opens.REFUSED,
        _NONE: Opens.REFUSED,
    }
    return meanings.get(other, Opens.UNKNOWN)

"""A bare Debian by mmdebstrap: all that decides what is in it, and how it is made."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rackwright.errors import RackwrightError
from rackwright.lab import apt


@dataclass(frozen=True)
class Recipe:
    """All that decides what is in a Debian of the lab."""

    sources: str
    """apt's sources, deb822."""
    settings: str
    """apt's settings: proxies, certificates."""
    cas: dict[str, str]
    """Extra certificate CAs by file name."""
    packages: str
    """Names, separated by commas."""
    setup: str
    """The shell script that runs inside at the end."""
    files: dict[str, str] = field(default_factory=dict)
    """Text by path relative to /. What is in sudoers.d is readable by root alone."""

    @property
    def digest(self) -> str:
        """The first twelve digits of the recipe's SHA-256."""
        text = json.dumps({**asdict(self), "release": apt.RELEASE}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def bootstrap(recipe: Recipe, folder: Path, target: Path) -> None:
    """Debian stands in `target`, a folder or a *.tar; `folder` is scratch. Raise RackwrightError if it failed."""
    _write(recipe, folder)
    command = [
        # What it mounts in a folder goes with it, however it ends: nobody clears away /proc with that folder.
        *("unshare", "--mount", "mmdebstrap"),
        "--quiet",
        "--mode=root",
        "--variant=minbase",
        f"--include={recipe.packages}",
        f"--customize-hook=sync-in {folder}/files /",
        f"--customize-hook=upload {folder}/setup.sh /setup.sh",
        '--customize-hook=chroot "$1" sh /setup.sh && rm "$1/setup.sh"',
        *(f"--aptopt={line}" for line in recipe.settings.splitlines()),
        apt.RELEASE,
        str(target),
        str(folder / "debian.sources"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    if done.returncode:
        last = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise RackwrightError(f"mmdebstrap failed:\n{last}", where="lab", should="are the Debian mirrors in reach?")


def _write(recipe: Recipe, folder: Path) -> None:
    files = {
        **recipe.files,
        "etc/apt/apt.conf.d/60controller": recipe.settings,
        **{f"usr/local/share/ca-certificates/{name}": text for name, text in recipe.cas.items()},
    }
    for path, text in files.items():
        target = folder / "files" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        if "sudoers.d" in target.parts:
            target.chmod(0o440)
    (folder / "debian.sources").write_text(recipe.sources)
    (folder / "setup.sh").write_text(recipe.setup)

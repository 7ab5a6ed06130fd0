"""Makes a bare Debian with mmdebstrap, from a recipe."""

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
    """Everything that determines the content of a lab's Debian."""

    sources: str
    """apt's sources, as deb822."""
    settings: str
    """apt's settings: proxies, certificates."""
    cas: dict[str, str]
    """Certificates of extra CAs, by file name."""
    packages: str
    """Names, separated by commas."""
    setup: str
    """The shell script that runs inside it at the end."""
    files: dict[str, str] = field(default_factory=dict)
    """Text by path relative to /. Only root can read files in sudoers.d."""

    @property
    def digest(self) -> str:
        """The first twelve digits of the recipe's SHA-256."""
        text = json.dumps({**asdict(self), "release": apt.RELEASE}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def bootstrap(recipe: Recipe, folder: Path, target: Path) -> None:
    """Make Debian in `target`, a folder or a *.tar, with `folder` as scratch. Raise RackwrightError if it fails."""
    _write(recipe, folder)
    command = [
        # Its mounts disappear with it, however it ends, so deleting the folder can't delete anything through /proc.
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
        raise RackwrightError(
            f"mmdebstrap failed:\n{last}", where="lab", should="check that the Debian mirrors are reachable"
        )


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

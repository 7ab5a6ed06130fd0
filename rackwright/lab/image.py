"""The image of a lab host: a bare Debian made by mmdebstrap, cached by the digest of its recipe."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from rackwright.errors import RackwrightError
from rackwright.lab import apt, paths, podman

REPOSITORY = "localhost/rackwright-lab"
_PACKAGES = (
    "apt-utils,ca-certificates,curl,dbus,iproute2,iputils-ping,kmod,nftables,openssh-server,procps,"
    "python3-minimal,sudo,systemd,systemd-sysv,udev"
)
_SETUP = """\
set -eu
rm -f /etc/ssh/ssh_host_* /etc/machine-id /etc/hostname
touch /etc/machine-id
useradd --create-home --shell /bin/bash ops
install -d -m 0700 -o ops -g ops /home/ops/.ssh
update-ca-certificates >/dev/null
systemctl mask --quiet systemd-networkd-wait-online.service apt-daily.timer apt-daily-upgrade.timer
"""
_FILES = {
    "etc/apt/apt.conf.d/50lab": (
        'APT::Keep-Downloaded-Packages "true";\nBinary::apt::APT::Keep-Downloaded-Packages "true";\n'
        'Acquire::Languages "none";\n'
    ),
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n",
    "etc/ssh/sshd_config.d/50-lab.conf": "PasswordAuthentication no\nPermitRootLogin no\n",
    "etc/sudoers.d/ops": "ops ALL=(ALL:ALL) NOPASSWD: ALL\n",
    # Each host makes keys of its own at its first start.
    "etc/systemd/system/ssh.service.d/host-keys.conf": (
        "[Service]\nExecStartPre=\nExecStartPre=/usr/bin/ssh-keygen -A\nExecStartPre=/usr/sbin/sshd -t\n"
    ),
}


@dataclass(frozen=True)
class Recipe:
    """All that decides what is in the image."""

    sources: str
    settings: str
    authorities: dict[str, str]
    packages: str = _PACKAGES
    setup: str = _SETUP

    @property
    def digest(self) -> str:
        """The first twelve digits of the recipe's SHA-256."""
        text = json.dumps({**asdict(self), "files": _FILES, "release": apt.RELEASE}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def tag(self) -> str:
        return f"{REPOSITORY}:{self.digest}"


def current() -> Recipe:
    """Return the recipe that this machine's apt settings and certificate authorities make."""
    return Recipe(apt.sources(), apt.own_settings(), apt.authorities())


def ensure(say: Callable[[str], None]) -> str:
    """The image of the current recipe is in podman's store afterwards; return its tag."""
    recipe = current()
    with paths.locked("image"):
        if podman.run("image", "exists", recipe.tag, check=False).code:
            say(f"building the host image {recipe.digest} (about a minute, once)")
            _build(recipe)
    return recipe.tag


def remove_all() -> None:
    """No image of ours that nothing uses is left."""
    for tag in podman.lines("images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", f"reference={REPOSITORY}"):
        podman.run("image", "rm", tag, check=False)


def _build(recipe: Recipe) -> None:
    with tempfile.TemporaryDirectory(prefix="rackwright-image-", dir=_scratch()) as name:
        folder = Path(name)
        files = {
            **_FILES,
            "etc/apt/apt.conf.d/60controller": recipe.settings,
            **{f"usr/local/share/ca-certificates/{name}": text for name, text in recipe.authorities.items()},
        }
        for path, text in files.items():
            target = folder / "files" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        (folder / "files/etc/sudoers.d/ops").chmod(0o440)
        (folder / "debian.sources").write_text(recipe.sources)
        (folder / "setup.sh").write_text(recipe.setup)
        _bootstrap(recipe, folder)
        podman.run("import", "--quiet", str(folder / "image.tar"), recipe.tag, timeout=300)


def _scratch() -> Path:
    paths.cache().mkdir(parents=True, exist_ok=True)
    return paths.cache()


def _bootstrap(recipe: Recipe, folder: Path) -> None:
    command = [
        "mmdebstrap",
        "--quiet",
        "--mode=root",
        "--variant=minbase",
        f"--include={recipe.packages}",
        f"--customize-hook=sync-in {folder}/files /",
        f"--customize-hook=upload {folder}/setup.sh /setup.sh",
        '--customize-hook=chroot "$1" sh /setup.sh && rm "$1/setup.sh"',
        *(f"--aptopt={line}" for line in recipe.settings.splitlines()),
        apt.RELEASE,
        str(folder / "image.tar"),
        str(folder / "debian.sources"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    if done.returncode:
        last = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise RackwrightError(f"mmdebstrap failed:\n{last}", where="lab", should="are the Debian mirrors in reach?")

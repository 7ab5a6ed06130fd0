"""The image of a lab host: a bare Debian made by mmdebstrap, cached by the digest of its recipe."""

from __future__ import annotations

from collections.abc import Callable

from rackwright.lab import apt, paths, podman
from rackwright.lab.bootstrap import Recipe, bootstrap

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
    # Each host makes its own keys at its first start.
    "etc/systemd/system/ssh.service.d/host-keys.conf": (
        "[Service]\nExecStartPre=\nExecStartPre=/usr/bin/ssh-keygen -A\nExecStartPre=/usr/sbin/sshd -t\n"
    ),
}


def tag_of(recipe: Recipe) -> str:
    return f"{REPOSITORY}:{recipe.digest}"


def current() -> Recipe:
    """Return the recipe, with this machine's apt settings and extra CAs."""
    return Recipe(apt.sources(), apt.own_settings(), apt.cas(), _PACKAGES, _SETUP, _FILES)


def ensure(say: Callable[[str], None]) -> str:
    """Ensure that podman's store has the image of the current recipe, and return its tag."""
    recipe = current()
    tag = tag_of(recipe)
    with paths.locked("image"):
        if podman.run("image", "exists", tag, check=False).code:
            say(f"building the host image {recipe.digest} (about a minute, once)")
            _build(recipe, tag)
    return tag


def remove_all() -> None:
    """Remove all unused images of lab hosts."""
    for tag in podman.lines("images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", f"reference={REPOSITORY}"):
        podman.run("image", "rm", tag, check=False)


def _build(recipe: Recipe, tag: str) -> None:
    with paths.scratch("image") as folder:
        bootstrap(recipe, folder, folder / "image.tar")
        podman.run("import", "--quiet", str(folder / "image.tar"), tag, timeout=300)

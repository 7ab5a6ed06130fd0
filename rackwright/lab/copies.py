"""Images of lab hosts: what was done to a host once is there in each copy, and its identity is in none."""

from __future__ import annotations

from rackwright.lab import podman

REPOSITORY = "localhost/rackwright-lab-copy"
FORGET = """\
set -eu
systemctl stop 'rackwright-*'
nft flush ruleset
# Loaded at boot, it would admit the first lab's controller alone.
rm -f /etc/rackwright/firewall.nft
# Certificates and keys, what the fleet's operators left, and the keys of the host itself.
rm -rf /etc/rackwright/certificates /var/lib/rackwright/* /home/ops/.ssh/authorized_keys
rm -f /etc/ssh/ssh_host_* /var/lib/systemd/credential.secret /var/lib/systemd/random-seed
find / -xdev -name '*.cred' -delete
# apt's lists are no part of the image: a copy reads them again.
rm -f /var/lib/apt/periodic/update-success-stamp
grep -v 127.0.1.1 /etc/hosts >/tmp/hosts
cat /tmp/hosts >/etc/hosts
rm -rf /tmp/hosts /var/log/journal/*
: >/etc/machine-id
"""
"""The shell script after which a host has no identity: it makes a new one at its next boot."""
_COMMIT_SECONDS = 300


def tag_of(host: str, digest: str) -> str:
    return f"{REPOSITORY}:{host}-{digest}"


def exist(tags: list[str]) -> bool:
    return all(podman.run("image", "exists", tag, check=False).code == 0 for tag in tags)


def commit(container: str, tag: str) -> None:
    """The stopped container is the image `tag` afterwards."""
    podman.run("commit", "--quiet", container, tag, timeout=_COMMIT_SECONDS)


def remove_old() -> None:
    """No copy is left that was made over a day ago, unless a container uses it: other checkouts have theirs."""
    _remove("--filter", "until=24h")


def remove_all() -> None:
    """No copy is left that nothing uses."""
    _remove()


def _remove(*filters: str) -> None:
    listed = ("images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", f"reference={REPOSITORY}", *filters)
    for tag in podman.lines(*listed):
        podman.run("image", "rm", tag, check=False)

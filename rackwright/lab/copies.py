"""Images of lab hosts: each copy has everything that was done to the host, except its identity."""

from __future__ import annotations

from rackwright.lab import podman

REPOSITORY = "localhost/rackwright-lab-copy"
FORGET = """\
set -eu
systemctl stop 'rackwright-*'
nft flush ruleset
# Loaded at boot, it would admit only the first lab's controller.
rm -f /etc/rackwright/firewall.nft
# Certificates and keys, records of the fleet's operators, and the host's own keys.
rm -rf /etc/rackwright/certificates /var/lib/rackwright/* /home/ops/.ssh/authorized_keys
rm -f /etc/ssh/ssh_host_* /var/lib/systemd/credential.secret /var/lib/systemd/random-seed
find / -xdev -name '*.cred' -delete
# apt's lists are not part of the image: a copy must read them again.
rm -f /var/lib/apt/periodic/update-success-stamp
grep -v 127.0.1.1 /etc/hosts >/tmp/hosts
cat /tmp/hosts >/etc/hosts
rm -rf /tmp/hosts /var/log/journal/*
: >/etc/machine-id
"""
"""The shell script that removes a host's identity. The host makes a new one at its next boot."""
_COMMIT_SECONDS = 300


def tag_of(host: str, digest: str) -> str:
    return f"{REPOSITORY}:{host}-{digest}"


def exist(tags: list[str]) -> bool:
    return all(podman.run("image", "exists", tag, check=False).code == 0 for tag in tags)


def commit(container: str, tag: str) -> None:
    """Make the image `tag` from the stopped container."""
    podman.run("commit", "--quiet", container, tag, timeout=_COMMIT_SECONDS)


def remove_old() -> None:
    """Remove the copies that are over a day old and unused. Newer ones may belong to other checkouts."""
    _remove("--filter", "until=24h")


def remove_all() -> None:
    """Remove all unused copies."""
    _remove()


def _remove(*filters: str) -> None:
    listed = ("images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", f"reference={REPOSITORY}", *filters)
    for tag in podman.lines(*listed):
        podman.run("image", "rm", tag, check=False)

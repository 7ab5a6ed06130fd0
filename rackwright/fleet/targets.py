"""The fleet's hosts as the controller reaches them."""

from __future__ import annotations

from pathlib import Path

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.secrets import resolve
from rackwright.fleet.sections.hosts import JumpHost, Ssh, Sudo
from rackwright.values.secrets import Secret
from rackwright.values.targets import Jump, Target


def target(fleet: Fleet, name: str) -> Target:
    """Return how to reach a host. Raise SecretError if its sudo password can't be resolved."""
    host = fleet.file.hosts[name]
    return Target(
        name=name,
        address=host.address,
        user=host.ssh.user,
        port=host.ssh.port,
        key=_path(fleet, host.ssh.key),
        certificate=_path(fleet, host.ssh.certificate),
        jump=_jump(fleet, host.ssh),
        known_hosts=fleet.sibling("known_hosts"),
        sudo_password=_sudo_password(fleet, f"hosts.{name}", host.sudo),
    )


def scratch_targets(fleet: Fleet) -> tuple[Target, ...]:
    """Return how to reach each scratch host of the fleet's drills. Raise SecretError as in `target`."""
    hosts = fleet.file.drill.hosts if fleet.file.drill else {}
    return tuple(
        Target(
            name=name,
            address=str(host.address),
            user=host.ssh.user,
            port=host.ssh.port,
            key=_path(fleet, host.ssh.key),
            certificate=_path(fleet, host.ssh.certificate),
            known_hosts=fleet.sibling("known_hosts"),
            sudo_password=_sudo_password(fleet, f"drill.hosts.{name}", host.sudo),
        )
        for name, host in hosts.items()
    )


def targets(fleet: Fleet, hosts: tuple[str, ...] | None = None) -> tuple[Target, ...]:
    """Return how to reach each of these hosts; with None, all hosts in service."""
    return tuple(target(fleet, name) for name in hosts or fleet.hosts)


def _sudo_password(fleet: Fleet, place: str, sudo: Sudo) -> Secret | None:
    if sudo.password is None:
        return None
    return resolve(sudo.password, where=f"{fleet.path} {place}.sudo.password", folder=fleet.path.parent)


def _path(fleet: Fleet, text: str | None) -> Path | None:
    return None if text is None else fleet.at(text)


def _jump(fleet: Fleet, ssh: Ssh) -> Jump | None:
    if ssh.jump is None:
        return None
    if isinstance(ssh.jump, JumpHost):
        return Jump(ssh.jump.address, ssh.jump.user or ssh.user, ssh.jump.port, _path(fleet, ssh.jump.key or ssh.key))
    host = fleet.file.hosts.get(ssh.jump)
    if host is None:
        return Jump(ssh.jump, ssh.user, key=_path(fleet, ssh.key))
    return Jump(host.address, host.ssh.user, host.ssh.port, _path(fleet, host.ssh.key))

"""The fleet's hosts as the controller reaches them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rackwright.errors import FleetError, Problem
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.secrets import resolve
from rackwright.fleet.sections.drill import ScratchHost
from rackwright.fleet.sections.hosts import JumpHost, Ssh, Sudo
from rackwright.values.secrets import Secret
from rackwright.values.targets import Jump, Target
from rackwright.values.tool_mode import delivered, in_tool_mode


def target(fleet: Fleet, name: str) -> Target:
    """Return how to reach a host; in tool mode, as the tool's person, who needs no sudo password.

    A drill's fleet has no tool: its hosts are reached as its file says. Raise SecretError if a sudo password can't be
    resolved.
    """
    as_tool = in_tool_mode() and fleet.file.unattended.person is not None
    return _for_tool(fleet, name) if as_tool else _for_person(fleet, name)


def _for_person(fleet: Fleet, name: str) -> Target:
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


def _for_tool(fleet: Fleet, name: str) -> Target:
    host, (person, key) = fleet.file.hosts[name], _tools_login(fleet)
    jump = _jump(fleet, host.ssh)
    if jump:
        inside = host.ssh.jump in fleet.file.hosts
        jump = replace(jump, user=person if inside else jump.user, key=key)
    return Target(
        name=name,
        address=host.address,
        user=person,
        port=host.ssh.port,
        key=key,
        jump=jump,
        known_hosts=fleet.sibling("known_hosts"),
    )


def _tools_login(fleet: Fleet) -> tuple[str, Path]:
    """Return the person whom the tool logs in as, and the file with their key. Raise FleetError if there is none."""
    unattended = fleet.file.unattended
    if unattended.person is None or unattended.key is None:
        raise FleetError([Problem(f"{fleet.path} unattended", "the tool may log in as nobody: there is no person")])
    return unattended.person, delivered(unattended.key)


def scratch_ssh(fleet: Fleet, scratch: ScratchHost) -> Ssh:
    """Return how to log in to a scratch host, with absolute paths; in tool mode, with the tool's key."""
    if in_tool_mode():
        return scratch.ssh.model_copy(update={"key": str(_tools_login(fleet)[1]), "certificate": None})
    paths = {"key": _path(fleet, scratch.ssh.key), "certificate": _path(fleet, scratch.ssh.certificate)}
    return scratch.ssh.model_copy(update={key: path and str(path.absolute()) for key, path in paths.items()})


def scratch_targets(fleet: Fleet) -> tuple[Target, ...]:
    """Return how to reach each scratch host of the fleet's drills; in tool mode, with the tool's key.

    Raise SecretError as in `target`.
    """
    hosts = fleet.file.drill.hosts if fleet.file.drill else {}
    return tuple(_scratch_target(fleet, name, host) for name, host in hosts.items())


def _scratch_target(fleet: Fleet, name: str, host: ScratchHost) -> Target:
    ssh = scratch_ssh(fleet, host)
    return Target(
        name=name,
        address=str(host.address),
        user=ssh.user,
        port=ssh.port,
        key=_path(fleet, ssh.key),
        certificate=_path(fleet, ssh.certificate),
        known_hosts=fleet.sibling("known_hosts"),
        sudo_password=_sudo_password(fleet, f"drill.hosts.{name}", host.sudo),
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

"""The lab's fleet file, as an operator would write it: one gateway; the other hosts serve one small model."""

from __future__ import annotations

import hashlib
from pathlib import Path

from rackwright.lab.artefacts import RELEASE, Artefacts
from rackwright.lab.hosts import LabFleet

DOMAIN = "llm.lab.internal"
_NOTE = "written"
_SUFFIXES = ("yml", "lock", "lock.next", "keys.yml", "known_hosts", "key", "ca.crt")

BASELINE = """\
  # Containers have no kernel and no clock of their own. With few packages, a lab is set up faster.
  baseline:
    fail2ban: {manage: no}
    sysctl: {kernel: no}
    time_sync: {manage: no}
    updates: {manage: no}
    auditd: {manage: no}
    apparmor: {manage: no}
    logins: {manage: no}
"""
"""The part of `defaults` in a lab's fleet file that sets up the hosts themselves."""
WHOLE_BASELINE = """\
  baseline:
    sysctl: {kernel: no}
    time_sync: {manage: no}
"""
"""An alternative to it: everything that works in a container."""

_TEXT = """\
# The fleet file of a lab: disposable hosts on this machine, made by `rackwright lab up`.
# A bare-metal fleet looks the same, with other addresses and a larger model.
fleet: {name}

# How this machine reaches the hosts: as an ordinary user who has sudo without a password.
defaults:
  ssh: {{user: {user}, key: {key}}}
{baseline}
hosts:
{hosts}

# One model, served on the CPU by every host that isn't a gateway.
models:
  assistant:
    source: "file:{model}"
    runtime:
      kind: llama_cpp
      version: {release}
      build: "file:{runtime}"
      parallel: 2
      threads: 1                         # all hosts share this machine's cores, and idle threads would spin
    place:
      - {{on: [{serving}], replicas: 1, gpus: 0}}
    names: [assistant, gpt-4o-mini]      # what clients may ask for
    context: 2048                        # tokens of one request, its answer included

gateway:
  on: [{gateways}]
  domain: {domain}

# Only these networks get in: this machine, and the lab's own network.
firewall:
  admin_from: [{controller}/32]
  clients_from: [{subnet}]

# Short times, because a lab has no traffic.
rollout: {{max_unavailable: 1, drain_timeout: 30s, soak: 2s}}
"""


def fleet_text(fleet: LabFleet, artefacts: Artefacts, *, gateways: int = 1) -> str:
    """Return the fleet file's YAML.

    The first hosts named gate… are the gateways; without any, the first host is. A host named spare… gets no role.
    """
    names = [host for host in fleet.hosts if not host.startswith("spare")]
    gates = [host for host in names if host.startswith("gate")][:gateways] or names[:1]
    serving = [host for host in names if not host.startswith("gate")] or gates
    width = max(len(host) for host in names) + 1
    return _TEXT.format(
        name=fleet.name,
        user=fleet.user,
        baseline=BASELINE,
        key=fleet.key,
        hosts="\n".join(f"  {host + ':':{width}} {{address: {fleet.hosts[host]}}}" for host in names),
        model=artefacts.model.path,
        release=RELEASE,
        runtime=artefacts.runtime.path,
        serving=", ".join(serving),
        gateways=", ".join(gates),
        domain=DOMAIN,
        controller=fleet.controller,
        subnet=fleet.subnet,
    )


def write(path: Path, fleet: LabFleet, artefacts: Artefacts, *, gateways: int = 1) -> bool:
    """Write fleet file and known_hosts. Return False if the fleet file was edited manually and isn't overwritten."""
    text = fleet_text(fleet, artefacts, gateways=gateways)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".known_hosts").write_text(fleet.known_hosts.read_text())
    note = fleet.key.parent / _NOTE
    if path.exists() and note.exists() and note.read_text() != _digest(path.read_text()):
        return False
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
    note.write_text(_digest(text))
    return True


def remove(path: Path) -> None:
    """Remove the lab's fleet file and the files of the same name next to it."""
    for suffix in _SUFFIXES:
        path.with_suffix(f".{suffix}").unlink(missing_ok=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

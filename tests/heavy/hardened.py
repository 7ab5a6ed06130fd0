"""A machine with an apply of the whole baseline behind it, and its fleet file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from rackwright.lab import artefacts
from rackwright.lab.vm import Vm
from tests.lab.operator import Operator

# A gateway alone: its engines would stand on a machine that isn't built. 10.0.2.0/24 is QEMU's own network.
_FLEET = """\
fleet: metal
defaults:
  ssh: {{user: {user}, port: {port}, key: {key}}}
hosts:
  {name}: {{address: 127.0.0.1}}
  metal1: {{address: 192.0.2.1, out: not built}}
models:
  assistant:
    source: "file:{model}"
    runtime: {{kind: llama_cpp, version: {release}, build: "file:{runtime}"}}
    place: [{{on: metal1, replicas: 1, gpus: 0}}]
    names: [assistant]
    context: 2048
gateway: {{on: [{name}], domain: llm.lab.internal}}
firewall: {{admin_from: [10.0.2.0/24], clients_from: [10.0.2.0/24]}}
"""


@dataclass(frozen=True)
class Hardened:
    vm: Vm
    operator: Operator
    index_before: int
    """lynis' hardening index of the bare machine."""

    def tell(self, command: str) -> str:
        """What the command prints, run as root."""
        return self.vm.exec(command).out.strip()

    def holds(self, command: str) -> bool:
        return self.vm.exec(command, check=False).code == 0


def fleet_of(vm: Vm, folder: Path) -> Operator:
    """The machine's fleet file stands in `folder`, locked."""
    target, made = vm.target(), artefacts.ensure(print)
    path = folder / "metal.yml"
    path.write_text(
        _FLEET.format(
            name=vm.name,
            user=target.user,
            port=target.port,
            key=target.key,
            model=made.model.path,
            runtime=made.runtime.path,
            release=artefacts.RELEASE,
        )
    )
    assert target.known_hosts
    path.with_suffix(".known_hosts").write_text(target.known_hosts.read_text())
    operator = Operator(path)
    operator("lock")
    return operator


def hardening_index(vm: Vm) -> int:
    """What lynis gives the machine, of 100."""
    vm.exec("lynis audit system --quick --quiet --no-colors", check=False, timeout=1800)
    found = re.search(r"^hardening_index=(\d+)$", vm.exec("cat /var/log/lynis-report.dat").out, re.MULTILINE)
    assert found
    return int(found[1])

"""`patch run` of a machine with a real GRUB: a kernel that panics gives way to the old one, and the machine serves.

The machine is the whole fleet: serving host, gateway and control host at once. The journal goes down with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from rackwright.lab.vm import Vm
from tests.lab.alone import operator_of
from tests.lab.operator import Operator
from tests.lab.paced import paced
from tests.lab.small_archive import SmallPackage, archive

pytestmark = [pytest.mark.heavy, pytest.mark.machine]
COVERS = (
    "rackwright/lifecycle/patch/host_change.py",
    "rackwright/lifecycle/reboot",
    "rackwright/operations/kernel.py",
    "roles/boot",
)

PANICS = "6.99.1-lab"
"""A copy of the running kernel without an initramfs: it finds no root."""
_INSIDE = "10.0.2.15"
"""The machine's address in QEMU's own network."""
_FLEET = """\
fleet: one
defaults:
  ssh: {{user: {user}, port: {port}, key: {key}}}
  baseline: {{manage: no}}
hosts:
  vm1: {{address: {address}, service: {inside}}}
models:
  assistant:
    source: "file:{model}"
    runtime: {{kind: llama_cpp, version: {release}, build: "file:{runtime}"}}
    place: [{{on: vm1, replicas: 1, gpus: 0}}]
    names: [assistant]
    context: 2048
gateway: {{on: [vm1], domain: llm.lab.internal}}
firewall: {{admin_from: [10.0.2.0/24], clients_from: [10.0.2.0/24], admin_at: any}}
rollout: {{soak: 1s}}
patch: {{}}
"""
# No time server can be reached from there. The kernel is told at each boot that its clock is synchronized.
_CLOCK = """\
cat >/usr/local/bin/synchronized <<'END'
#!/usr/bin/python3
import ctypes, struct
request = ctypes.create_string_buffer(struct.pack("I4x4qi", 0x14, 0, 0, 0, 0, 0), 208)  # ADJ_STATUS and ADJ_MAXERROR
ctypes.CDLL(None).adjtimex(request)
END
chmod 0755 /usr/local/bin/synchronized
printf '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStart=/usr/local/bin/synchronized\\n\
[Install]\\nWantedBy=basic.target\\n' >/etc/systemd/system/synchronized.service
systemctl -q enable --now synchronized
"""
_GRUB = f"/etc/kernel/postinst.d/zz-update-grub {PANICS} /boot/vmlinuz-{PANICS}"
"""What a kernel's package runs last."""


@dataclass(frozen=True)
class Machine:
    vm: Vm
    operator: Operator

    def tell(self, command: str, *, timeout: float = 300) -> str:
        return self.vm.exec(command, timeout=timeout).out.strip()

    def publish(self, *packages: SmallPackage) -> None:
        self.tell(f"cat >/tmp/script <<'EOF'\n{archive(*packages)}\nEOF\nsh /tmp/script; rm /tmp/script")

    def boots(self) -> int:
        """Return how often it was turned on or rebooted, as its serial console has it."""
        return self.vm.console(lines=1_000_000).count("Loading Linux ")


@pytest.fixture(scope="module")
def machine(vm: Vm, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A machine that serves, and has a kernel's package of which the archive offers nothing newer."""
    folder = tmp_path_factory.mktemp("site")
    served = paced(folder / "paced", "load=1 pace=0.05")
    operator = operator_of(folder / "one.yml", _FLEET, vm.target(), served, inside=_INSIDE)
    machine = Machine(vm, operator)
    machine.tell("apt-get -qq update; apt-get -qq -y install apt-utils >/dev/null 2>&1", timeout=600)
    operator("apply", "--yes", "--close-ports", timeout=1800)
    machine.tell(_CLOCK)
    machine.publish(SmallPackage("linux-image-lab", "1"))
    machine.tell("apt-get -qq update; apt-get -qq -y install linux-image-lab >/dev/null")
    return machine


def test_a_kernel_that_panics_is_reverted_unattended_within_two_boots(machine: Machine) -> None:
    running, boots, before = machine.tell("uname -r"), machine.boots(), machine.vm.boot_id()
    image = SmallPackage(
        f"linux-image-{PANICS}",
        "1",
        copies={f"/boot/vmlinuz-{PANICS}": f"/boot/vmlinuz-{running}"},
        scripts={"postinst": _GRUB, "postrm": "update-grub"},
    )
    machine.publish(image, SmallPackage("linux-image-lab", "2", fields=(f"Depends: {image.name}",)))
    said = machine.operator("patch", "run", "--yes", "--allow-outage", check=12, timeout=1800).err
    assert f"vm1: didn't boot {PANICS} and fell back" in said
    assert "it was reverted, and its engines answer" in said
    assert "Kernel panic" in machine.vm.console(lines=1_000_000)
    assert machine.boots() - boots == 2
    assert machine.vm.boot_id() != before
    assert machine.tell("uname -r") == running
    assert machine.tell("dpkg-query -W -f '${Package} ${Version};' 'linux-image-*lab'") == "linux-image-lab 1;"
    assert machine.tell(f"ls /boot/vmlinuz-{PANICS} 2>&1 || true").endswith("No such file or directory")
    assert PANICS not in machine.tell("cat /boot/grub/grub.cfg")
    _serves(machine)


def _serves(machine: Machine) -> None:
    """Check that no rollout is open and a client gets an answer."""
    assert "no rollout is open" in machine.operator("rollout", "status").out
    assert {one["traffic"] for one in machine.operator.replicas().values()} == {"yes"}
    key = machine.operator("key", "add", "client", "--owner", "tests", "--json").json["key"]
    asked = (
        "curl -fsS --cacert /dev/stdin --resolve llm.lab.internal:443:{inside} -H 'Authorization: Bearer {key}' "
        "-H 'Content-Type: application/json' https://llm.lab.internal/v1/completions "
        '-d \'{{"model": "assistant", "prompt": "hello", "max_tokens": 4}}\''
    )
    ca = machine.operator.path.with_suffix(".ca.crt").read_text()
    assert '"choices"' in machine.vm.exec(asked.format(inside=_INSIDE, key=key), input=ca).out

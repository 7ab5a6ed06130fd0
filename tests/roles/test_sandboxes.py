"""What systemd itself finds open in our units' sandboxes: what each needs, and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from rackwright.launch import Reach
from rackwright.lifecycle.p2p import unit as p2p
from rackwright.operations import watch_units
from rackwright.roles.backup import units as backup
from rackwright.roles.capture import role as capture
from rackwright.roles.cloud import units as cloud
from rackwright.roles.cutover import units as cutover
from rackwright.roles.etcd import configuration as etcd
from rackwright.roles.firewall import role as firewall
from rackwright.roles.gpu_faults import units as gpu_faults
from rackwright.roles.ledger import units as ledger
from rackwright.roles.ledger.settings import Settings as Ledger
from rackwright.roles.probe import units as probe
from rackwright.roles.replica_group import units as replica_group
from rackwright.roles.tool import units as tool
from rackwright.roles.usage import units as usage
from rackwright.roles.usage.settings import Settings as Usage
from rackwright.roles.vip import configuration as vip
from tests.roles.test_backup import DISK, WEB
from tests.roles.test_cloud import OWN as CLOUD
from tests.roles.test_probe import PROBE
from tests.roles.test_proxy_units import GATEWAY, HOST_PROXY
from tests.roles.test_replica import launched
from tests.roles.test_replica_group import FIRST, of
from tests.roles.test_tool_units import SETTINGS as TOOL

SANDBOXED = re.compile(r"RestrictAddressFamilies=|[{]SANDBOX[}]")
CAPTURE = (Path(capture.__file__).parent / "templates/rackwright-capture.service").read_text()
FIREWALL = (Path(firewall.__file__).parent / "templates/rackwright-firewall.service").read_text()
LEDGER = ledger.service(Ledger(gateway="gate1"))
USAGE = usage.service(Usage(gateway="gate1"))
ROOT = {"UserOrDynamicUser", "PrivateUsers", "DeviceAllow"}
"""It runs as root, with the devices of PrivateDevices."""
SHOWN = {"ProtectProc", "ProcSubset"}
"""It sees other processes."""
LOOKS = ROOT | {
    "RootDirectoryOrRootImage",
    "RestrictAddressFamilies_AF_UNIX",
}
MOVES = {
    "CapabilityBoundingSet_CAP_SET_UID_GID_PCAP",
    "CapabilityBoundingSet_CAP_KILL",
    "CapabilityBoundingSet_CAP_NET_ADMIN",
    "CapabilityBoundingSet_CAP_NET_BIND_SERVICE_BROADCAST_RAW",
    "SystemCallFilter_privileged",
    "RestrictAddressFamilies_AF_PACKET",
    "ProcSubset",
}
"""keepalived runs its check as another user, reads /proc/sys, and announces an address that moves."""
FOLLOWS = {
    "CapabilityBoundingSet_CAP_NET_ADMIN",
    "CapabilityBoundingSet_CAP_SET_UID_GID_PCAP",
    "SystemCallFilter_privileged",
    "ProcSubset",
}
"""It loads rules, and asks HAProxy as HAProxy's user."""
ASKS = {
    "CapabilityBoundingSet_CAP_SET_UID_GID_PCAP",
    "CapabilityBoundingSet_CAP_SYS_PTRACE",
    "SystemCallFilter_privileged",
}
"""It asks HAProxy's workers as HAProxy's user, those that still run."""
READS = {"CapabilityBoundingSet_CAP_DAC_FOWNER_IPC_OWNER"}
SERVES = {
    "RootDirectoryOrRootImage",
    "MemoryDenyWriteExecute",
    "RestrictAddressFamilies_AF_UNIX",
    "RestrictAddressFamilies_AF_INET_INET6",
    "PrivateNetwork",
    "PrivateUsers",
    "DeviceAllow",
    "IPAddressDeny",
}
RUNS = {"RootDirectoryOrRootImage", "DeviceAllow", "RestrictAddressFamilies_AF_UNIX"}
BINDS = {"AmbientCapabilities", "CapabilityBoundingSet_CAP_NET_BIND_SERVICE_BROADCAST_RAW"}
NETLINK = "RestrictAddressFamilies_AF_NETLINK"
NETWORK = {"PrivateNetwork", "IPAddressDeny", "RestrictAddressFamilies_AF_INET_INET6"}
"""Its peer has a name, not a fixed address."""


def analyzed(unit: Path, *options: str) -> str:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", *options, str(unit)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize(
    ("unit", "text", "needs"),
    [
        ("firewall", FIREWALL, ROOT | {NETLINK, "CapabilityBoundingSet_CAP_NET_ADMIN", "PrivateNetwork"}),
        ("probe", probe.service(PROBE), LOOKS | SHOWN | {"CapabilityBoundingSet_CAP_SYS_PTRACE", "UMask"}),
        ("agent@", probe.agent(PROBE), LOOKS | {"PrivateTmp"}),
        ("gateway", GATEWAY, SERVES | BINDS),
        ("host-proxy", HOST_PROXY, SERVES | {"SupplementaryGroups"}),
        ("capture", CAPTURE, {"RootDirectoryOrRootImage", "DeviceAllow"}),
        ("backup", backup.service(DISK, "run"), LOOKS | READS),
        ("check", backup.service(WEB, "check"), LOOKS | READS | NETWORK),
        ("etcd", etcd.unit_text(), SERVES - {"MemoryDenyWriteExecute"}),
        (
            "tool",
            tool.unit_text(TOOL),
            {"RootDirectoryOrRootImage", "DeviceAllow"} | NETWORK | {"RestrictAddressFamilies_AF_UNIX"},
        ),
        ("cloud", cloud.service(), LOOKS | FOLLOWS | NETWORK | {NETLINK}),
        (
            "cloud-own@",
            cloud.connection(CLOUD, 3128),
            {"RootDirectoryOrRootImage", "DeviceAllow", "RestrictAddressFamilies_AF_UNIX"} | NETWORK,
        ),
        ("panic", cutover.service(), LOOKS | SHOWN | ASKS | READS),
        ("ledger", LEDGER, LOOKS | SHOWN | ASKS),
        ("usage", USAGE, LOOKS | SHOWN | ASKS),
        ("vip", vip.unit_text(), LOOKS | MOVES | NETWORK | {NETLINK}),
    ],
)
def test_a_unit_may_do_what_it_needs_and_nothing_else(tmp_path: Path, unit: str, text: str, needs: set[str]) -> None:
    path = tmp_path / f"{unit}.service"
    path.write_text(text)
    judged = json.loads(analyzed(path, "--json=short"))
    found = {
        one["json_field"].rstrip(")") for one in judged if not one["set"] and one["exposure"] not in (None, "0.0")
    }
    assert found == needs


@pytest.mark.parametrize(
    "text",
    [FIREWALL, probe.service(PROBE), probe.agent(PROBE), backup.service(DISK, "run"), backup.service(WEB, "run")],
)
def test_what_systemd_weighs_too_little_or_not_at_all_is_closed_too(text: str) -> None:
    lines = text.splitlines()
    assert {"ProtectSystem=strict", "ProtectHome=yes", "KeyringMode=private"} <= {*lines}
    assert {"SystemCallFilter=@system-service", "SystemCallArchitectures=native"} <= {*lines}
    # A program that exceeds its permissions gets an error; it isn't killed.
    assert "SystemCallErrorNumber=EPERM" in lines


UNITS = {
    "rackwright/lifecycle/p2p/unit.py": ["\n".join(["[Service]", "ExecStart=/bin/true", *p2p.PROPERTIES])],
    "rackwright/operations/haproxy/templates/unit.service.j2": [GATEWAY, HOST_PROXY],
    "rackwright/operations/watch_units.py": [watch_units.answer("", "", "/bin/true")],
    "roles/backup/units.py": [backup.service(DISK, "run"), backup.service(WEB, "check")],
    "roles/cloud/units.py": [cloud.service(), cloud.connection(CLOUD, 3128)],
    "roles/capture/templates/rackwright-capture.service": [CAPTURE],
    "roles/cutover/units.py": [cutover.service()],
    "roles/etcd/templates/unit.service.j2": [etcd.unit_text()],
    "roles/firewall/templates/rackwright-firewall.service": [FIREWALL],
    "roles/gpu_faults/units.py": [gpu_faults.service()],
    "roles/ledger/units.py": [LEDGER],
    "roles/usage/units.py": [USAGE],
    "roles/probe/units.py": [probe.service(PROBE), probe.agent(PROBE)],
    "roles/replica/unit.py": [launched(reach) for reach in Reach],
    "roles/replica_group/units.py": [replica_group.service(of(FIRST)), replica_group.member(of(FIRST))],
    "roles/tool/units.py": [tool.unit_text(TOOL)],
    "roles/vip/templates/unit.service.j2": [vip.unit_text()],
}
"""Source → the units that it renders, of all that have a sandbox."""


BOUNDS = {
    "roles/backup/units.py": 1.8,
    "roles/cloud/units.py": 2.2,
    "roles/cutover/units.py": 1.7,
    "roles/vip/templates/unit.service.j2": 2.6,
}
"""Source → the exposure of its units, if it is more than LIMIT: they need what MOVES, READS and NETWORK list."""
LIMIT = 1.5


def test_each_unit_is_held_to_its_exposure(tmp_path: Path) -> None:
    found: dict[str, float] = {}
    for source, texts in UNITS.items():
        for number, text in enumerate(texts):
            path = tmp_path / f"{number}.service"
            path.write_text(text)
            (level,) = re.findall(r"level for \S+: (\d+\.\d) ", analyzed(path))
            found[source] = max(found.get(source, 0.0), float(level))
    assert {source: level for source, level in found.items() if level > LIMIT} == BOUNDS


def test_a_transient_unit_keeps_its_sandbox_when_units_are_reloaded() -> None:
    """Of a transient unit, systemd writes RestrictNamespaces=yes as an empty list: no restriction."""
    assert "RestrictNamespaces=cgroup" in p2p.PROPERTIES


def test_these_are_all_sandboxes() -> None:
    root = Path(__file__).parents[2]
    sources = [path for top in ("rackwright", "roles") for path in (root / top).rglob("*.*")]
    texts = {path: path.read_text() for path in sources if path.suffix in (".py", ".j2", ".service")}
    found = {str(path.relative_to(root)) for path, text in texts.items() if SANDBOXED.search(text)}
    assert found == UNITS.keys()


@pytest.mark.parametrize("text", [text for texts in UNITS.values() for text in texts])
def test_no_unit_may_use_io_uring_which_makes_sockets_of_every_family(text: str) -> None:
    lines = text.splitlines()
    assert any(line.startswith("RestrictAddressFamilies=") for line in lines)
    filters = [line.removeprefix("SystemCallFilter=") for line in lines if line.startswith("SystemCallFilter=")]
    # A later list of allowed calls would admit them again.
    assert filters[-1] == "~io_uring_setup io_uring_enter io_uring_register"
    assert "SystemCallErrorNumber=EPERM" in lines

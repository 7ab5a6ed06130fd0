"""Write the folder of the playbook, as a user of Ansible would have it: inventory, variables, and files to copy."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fleet import BIN, GATEWAY, BenchFleet
from benchmarks.measure import Ran, environment, whole
from rackwright.lab import artefacts

_SOURCE = Path(__file__).parent / "playbook"
_COLLECT = (
    "cd / && tar -cf - etc/rackwright etc/systemd/system/rackwright-* etc/ssh/sshd_config.d/00-rackwright.conf "
    "etc/systemd/journald.conf.d/60-rackwright.conf etc/sysctl.d/60-rackwright.conf "
    "etc/fail2ban/jail.d/rackwright.conf etc/apt/apt.conf.d etc/needrestart/conf.d "
    "etc/audit/rules.d/60-rackwright.rules etc/sudoers.d/rackwright-people home/anna/.ssh home/ben/.ssh | base64 -w 0"
)
# Ansible needs these on a host, and rackwright doesn't: all of Python, and its apt module.
_PYTHON = "DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends python3 python3-apt"
_FOLDERS = ["/etc/rackwright", "/etc/rackwright/certificates", "/var/lib/rackwright"]
_RUNTIME = "/opt/rackwright/runtimes/llama_cpp-b10434"


@dataclass(frozen=True)
class Playbook:
    folder: Path

    def __call__(self, *words: str) -> Ran:
        return whole([str(BIN / "ansible-playbook"), "site.yml", *words], environment(), cwd=self.folder)


@dataclass(frozen=True)
class Recap:
    tasks: int
    """Results of tasks; each item of a loop is one."""
    changed: int
    skipped: int


def project(fleet: BenchFleet, reached: dict[str, str] | None = None) -> Playbook:
    """Given hosts after `rackwright apply`, write the playbook for the same state."""
    folder = fleet.folder / "ansible"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(_SOURCE, folder)
    for host in fleet.hosts.hosts:
        fleet.lab.exec(host, _PYTHON)
        packed = base64.b64decode(fleet.lab.exec(host, _COLLECT).out)
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(folder / "files" / host, filter="data")
    # JSON is YAML.
    (folder / "inventory.yml").write_text(json.dumps(_inventory(fleet, reached or {}), indent=2))
    return Playbook(folder)


def recap(out: str) -> Recap:
    """Given the output of ansible-playbook, return its counts, summed over all hosts."""
    table = out.partition("PLAY RECAP")[2]
    assert table, out[-2000:]
    changed, skipped = (sum(map(int, re.findall(rf"\b{word}=(\d+)", table))) for word in ("changed", "skipped"))
    return Recap(len(re.findall(r"^(?:ok|changed): \[", out, re.MULTILINE)), changed, skipped)


def _inventory(fleet: BenchFleet, reached: dict[str, str]) -> dict[str, object]:
    hosts, made = fleet.hosts, artefacts.ensure(lambda _: None)
    groups = {"gateways": [GATEWAY], "serving": [host for host in hosts.hosts if host != GATEWAY]}
    common = {
        "ansible_user": hosts.user,
        "ansible_ssh_private_key_file": str(hosts.key),
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={fleet.known_hosts}",
        "files": "{{ playbook_dir }}/files/{{ inventory_hostname }}",
    }
    (store,) = fleet.lab.exec(groups["serving"][0], "ls -d /srv/models/assistant/*").out.split()
    serving = {
        "folders": [*_FOLDERS, "/opt/rackwright", "/opt/rackwright/runtimes", "/etc/rackwright/host-proxy"],
        "proxy": "rackwright-host-proxy",
        "proxy_folder": "/etc/rackwright/host-proxy",
        "certificates": ["host-proxy"],
        "maps": [],
        "keep_users": ["rw-assistant"],
        "runtime": {"archive": str(made.runtime.path), "folder": _RUNTIME},
        "weights": {
            "src": str(made.model.path),
            "dest": f"{store}/{made.model.path.name}",
            "size": made.model.path.stat().st_size,
        },
    }
    gateways = {
        "folders": [*_FOLDERS, "/etc/rackwright/gateway", "/var/lib/rackwright/drains"],
        "proxy": "rackwright-gateway",
        "proxy_folder": "/etc/rackwright/gateway",
        "certificates": ["gateway-client", "gateway"],
        "maps": ["models.map", "models.json", "ends.map"],
        "keep_users": [],
    }
    return {
        "all": {
            "vars": common,
            "children": {
                name: {"hosts": {host: _host(fleet, host, reached) for host in groups[name]}, "vars": values}
                for name, values in (("serving", serving), ("gateways", gateways))
            },
        }
    }


def _host(fleet: BenchFleet, host: str, reached: dict[str, str]) -> dict[str, object]:
    etc = fleet.folder / "ansible" / "files" / host / "etc"
    return {
        "ansible_host": reached.get(host, fleet.hosts.hosts[host]),
        "keep_units": [f"/etc/systemd/system/{unit.name}" for unit in sorted((etc / "systemd" / "system").iterdir())],
        "keep_files": [f"/etc/{path.relative_to(etc)}" for path in sorted((etc / "rackwright").rglob("*"))],
    }

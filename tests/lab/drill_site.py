"""A fleet that is backed up, and scratch hosts: what a drill needs.

Molecule and benchmarks run it as a program: `python -m tests.lab.drill_site up FOLDER`, and `down`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rackwright.lab.hosts import Lab, LabSpec
from tests.lab.backup_vault import repositories, serve
from tests.lab.deployed import LabHost
from tests.lab.operator import Operator, operator
from tests.lab.standard import images_of, standard_lab

VAULT = "spare1"
NAME = "test-molecule-drill"
SIGNER = "anna"


@dataclass(frozen=True)
class DrillSite:
    operator: Operator
    lab: Lab
    hosts: tuple[str, ...]
    """The fleet's, the gateway first."""

    def host(self, name: str) -> LabHost:
        return LabHost(self.lab, self.lab.fleet(), name)

    def scratch(self, host: str) -> LabHost:
        """Return the scratch host that stands for this host."""
        return self.host(scratch_of(self.hosts)[host])

    def drill(self, *words: str) -> tuple[str, ...]:
        """Return the words of a drill's command, signed by the operator."""
        return ("drill", "run", "--sign-with", str(self.operator.path.parent / SIGNER), *words)


def scratch_of(hosts: tuple[str, ...]) -> dict[str, str]:
    """Return the lab's host that stands for each host."""
    return {host: f"spare{number}" for number, host in enumerate(hosts, 2)}


@contextmanager
def drill_site(name: str, folder: Path, *hosts: str) -> Iterator[DrillSite]:
    """Run the lab test-NAME with these hosts, a backup server and scratch hosts, then remove it."""
    spares = (VAULT, *scratch_of(hosts).values())
    with standard_lab(name, *hosts, *spares, bare=spares) as lab:
        yield prepared(lab, folder, hosts)


def prepared(lab: Lab, folder: Path, hosts: tuple[str, ...], later: tuple[str, ...] = ()) -> DrillSite:
    """Apply the fleet, back it up, and pin the scratch hosts' keys. One API key is valid, and one is revoked.

    Hosts in `later` can be backed up, too, once they are in the fleet file.
    """
    fleet = lab.fleet()
    vault = LabHost(lab, fleet, VAULT)
    serve(vault, folder, (*hosts, *later, "kit"))
    made = operator(folder, fleet)
    (folder / "password").write_text("correct horse battery staple\n")
    ssh = {"user": fleet.user, "key": str(fleet.key)}
    scratch = {
        f"scratch-{host}": {"address": fleet.hosts[spare], "ssh": ssh, "stands_for": [host]}
        for host, spare in scratch_of(hosts).items()
    }
    keys = {"key": "file:valid.key", "revoked_key": "file:revoked.key"}
    drill = {"hosts": scratch, "objectives": {"rto": "30m", "rpo": "24h"}, **keys}
    backup = {"to": [one for one in repositories(vault) if one["name"] != "disk"]}
    with made.path.open("a") as stream:
        stream.write(f"backup: {json.dumps(backup)}\ndrill: {json.dumps(drill)}\n")
    made("lock")
    for name in ("valid", "revoked"):
        (folder / f"{name}.key").write_text(made("key", "add", name, "--owner", "tests", "--later").out)
    made("apply", "--yes")
    made("key", "revoke", "revoked", "--yes")
    made("backup", "run")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / SIGNER)], check=True)
    made("drill", "signers", "add", SIGNER, str(folder / f"{SIGNER}.pub"))
    made("trust", "--yes")
    return DrillSite(made, lab, hosts)


def main() -> None:
    verb, *rest = sys.argv[1:]
    lab, hosts = Lab(NAME), ("gate1", "gpu1", "gpu2")
    lab.down()
    if verb == "up":
        folder = Path(rest[0]).absolute()
        folder.mkdir(parents=True)
        lab.up(LabSpec(hosts=(*hosts, VAULT, *scratch_of(hosts).values()), images=images_of(hosts)))
        prepared(lab, folder, hosts)


if __name__ == "__main__":
    main()

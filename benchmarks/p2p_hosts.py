"""Lab hosts with limited bandwidth, files on the first of them, and all that a transfer to the others needs."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rackwright.fleet.ca import CertificateAuthority
from rackwright.lab import containers
from rackwright.lab.hosts import Lab, LabFleet, LabSpec
from rackwright.roles.model_store.settings import Settings as ModelStore
from rackwright.roles.model_store.settings import StoredModel
from rackwright.roles.p2p.settings import Settings
from rackwright.values.file import File
from rackwright.values.targets import Target

LAB = "bench-p2p"
FIRST = "gpu0"
HOSTS = ("gpu1", "gpu2", "gpu3", "gpu4")
FILES = 8
DIGEST = "b" * 64
FOLDER = f"/srv/models/bench/{DIGEST[:16]}"
KEY = "/home/ops/.ssh/bench"
# A key of this lab only, so that rsync can log in from host to host, as it does for an operator.
_KEY = f"[ -e {KEY} ] || ssh-keygen -q -t ed25519 -N '' -f {KEY}; chown ops:ops {KEY} {KEY}.pub; cat {KEY}.pub"


@dataclass(frozen=True)
class Shaped:
    """The hosts of the benchmark."""

    lab: Lab
    fleet: LabFleet
    model: StoredModel

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.model.files)

    def targets(self) -> tuple[Target, ...]:
        fleet = self.fleet
        return tuple(
            Target(name, address, user=fleet.user, key=fleet.key, known_hosts=fleet.known_hosts)
            for name, address in fleet.hosts.items()
        )

    def session(self, remote: Any, folder: Path, hosts: tuple[str, ...]) -> Any:
        """Return the parts of a session that the procedure reads, with these hosts behind the first."""
        issuer = CertificateAuthority("bench", folder / "ca.crt", folder)
        addresses = {name: ip_address(address) for name, address in self.fleet.hosts.items()}
        specs = {
            name: SimpleNamespace(
                p2p=Settings(address=addresses[name], port=8301, peers=tuple(addresses.values())),
                model_store=ModelStore(models=(self.model,)),
                credentials=SimpleNamespace(issuer=issuer),
            )
            for name in (FIRST, *hosts)
        }
        section = SimpleNamespace(from_=FIRST)
        return SimpleNamespace(hosts=specs, remote=remote, fleet=SimpleNamespace(file=SimpleNamespace(p2p=section)))

    def forget(self) -> None:
        """Remove the files from all hosts except the first."""
        for host in HOSTS:
            self.lab.exec(host, "rm -rf /srv/models /home/ops/bench; mkdir /srv/models")

    def shape(self, host: str, mbit: float) -> None:
        """Limit what the host sends and receives to this rate."""
        shaped = f"root tbf rate {mbit}mbit burst 128kb latency 50ms"
        self.lab.exec(host, f"tc qdisc replace dev eth0 {shaped}")
        link = containers.link_on_controller(self.lab.name, host)
        subprocess.run(["tc", "qdisc", "replace", "dev", link, *shaped.split()], check=True)

    def whole(self, host: str) -> bool:
        return self.lab.exec(host, f"cat {FOLDER}/.verified", check=False).out.strip() == DIGEST


@contextmanager
def shaped_hosts(megabytes: int, mbit: float, *, keep: bool) -> Iterator[Shaped]:
    """Within the block, the lab has the hosts, the programs of both sides, and the files. Then remove or keep it."""
    lab = Lab(LAB)
    try:
        fleet = lab.up(LabSpec(hosts=(FIRST, *HOSTS)), say=print)
        _install(lab, fleet)
        made = Shaped(lab, fleet, _files(lab, megabytes))
        for host in fleet.hosts:
            made.shape(host, mbit)
        yield made
    finally:
        if not keep:
            lab.down()


def _install(lab: Lab, fleet: LabFleet) -> None:
    from rackwright.remote import Remote
    from rackwright.roles.p2p.role import p2p
    from rackwright.runner import Runner

    spec = Shaped(lab, fleet, StoredModel(name="bench", digest=DIGEST, files=()))
    with Remote(spec.targets()) as remote:
        run = Runner(remote).apply(p2p, dict.fromkeys(fleet.hosts))
    assert not run.failed_hosts, run.failures
    public = lab.exec(FIRST, _KEY).out
    for host in fleet.hosts:
        lab.exec(host, "apt-get -q -y install --no-install-recommends rsync >/dev/null", timeout=300)
        lab.exec(host, "cat >>/home/ops/.ssh/authorized_keys", input=public)


def _files(lab: Lab, megabytes: int) -> StoredModel:
    size = megabytes * 1_000_000 // FILES
    lab.exec(FIRST, f"rm -rf /srv/models; mkdir -p {FOLDER}")
    files = []
    for number in range(FILES):
        path = f"part-{number}.safetensors"
        made = lab.exec(
            FIRST, f"head -c {size} /dev/urandom >{FOLDER}/{path}; sha256sum <{FOLDER}/{path}", timeout=600
        )
        sha256 = made.out.split()[0]
        files.append(File(path=path, size=size, sha256=sha256, url=f"https://models.acme.internal/{path}"))
    lab.exec(FIRST, f"echo {DIGEST} >{FOLDER}/.verified; chmod -R a+rX /srv/models")
    return StoredModel(name="bench", digest=DIGEST, files=tuple(files))

"""The lab fleet that the scripts measure: its hosts, its fleet file, and rackwright commands on it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import Ran, environment, whole
from rackwright.lab import artefacts, fleet_file
from rackwright.lab.artefacts import Artefacts
from rackwright.lab.hosts import Lab, LabFleet, LabSpec

LAB = "bench"
BIN = Path(sys.executable).parent
GATEWAY = "gate1"
# No one has the private keys.
PEOPLE = """
people:
  anna:
    role: operator
    keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5jl8YHrR3iahxNpGp7yy9aWKyWFQ9mOS5fFZ6baY9d anna@laptop]
  ben:
    role: auditor
    keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJWoefy+OJgh/Gry4TRVBduAOPhtMjuz688pQqw5fP7T ben@audit]
"""
BACKUP = """
backup:
  to: [{name: disk, url: /srv/backup, password: "file:backup.password"}]
"""


@dataclass(frozen=True)
class BenchFleet:
    lab: Lab
    hosts: LabFleet
    served: Artefacts

    @property
    def folder(self) -> Path:
        return self.lab.folder / "operator"

    @property
    def path(self) -> Path:
        return self.folder / "bench.yml"

    @property
    def known_hosts(self) -> Path:
        return self.path.with_suffix(".known_hosts")

    def environment(self, cache: Path | None = None) -> dict[str, str]:
        """Return the environment of an operator with a home of its own. `cache`: the folder of the question cache."""
        return environment(XDG_CONFIG_HOME=str(self.folder / "config"), XDG_CACHE_HOME=str(cache or self.cache))

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    def write(self, reached: Mapping[str, str] | None = None) -> None:
        """Write the fleet file and its lock. `reached`: other addresses for the controller to connect to, by host."""
        lab = fleet_file.fleet_text(self.hosts, self.served)
        text = lab.replace(fleet_file.BASELINE, fleet_file.WHOLE_BASELINE)
        assert text != lab
        keys = {line.split()[0]: line.partition(" ")[2] for line in self.hosts.known_hosts.read_text().splitlines()}
        pins = [f"{address} {key}" for address, key in keys.items()]
        for host, address in self.hosts.hosts.items():
            # Explicit, so that the files on the hosts are the same, however the controller connects to them.
            now = (reached or {}).get(host, address)
            text = text.replace(f"{{address: {address}}}", f"{{address: {now}, service: {address}}}")
            pins.append(f"{now} {keys[address]}")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path.write_text(text + PEOPLE + BACKUP)
        (self.folder / "backup.password").write_text("of a lab")
        self.known_hosts.write_text("".join(f"{line}\n" for line in dict.fromkeys(pins)))
        self("lock")

    def argv(self, *words: str, path: Path | None = None) -> list[str]:
        return [str(BIN / "rackwright"), "-f", str(path or self.path), *words]

    def __call__(self, *words: str, cache: Path | None = None, expect: int = 0) -> Ran:
        return whole(self.argv(*words), self.environment(cache), expect=expect)

    def edit(self, old: str, new: str) -> None:
        """Replace text in the fleet file, and lock again."""
        text = self.path.read_text()
        assert old in text, old
        self.path.write_text(text.replace(old, new))
        self("lock")

    def satisfy(self) -> None:
        """Run apply, and check that a second apply finds nothing to change."""
        self("apply", "--yes", "--close-ports")
        assert self.applied()["changed"] == 0

    def applied(self, *words: str) -> Any:
        return json.loads(self("--json", "apply", "--yes", *words).out)


@contextmanager
def bench_fleet(
    hosts: tuple[str, ...], *, keep: bool, fresh: bool = False, served: Artefacts | None = None
) -> Iterator[BenchFleet]:
    """Within the block, the lab has these hosts and a fleet file. Then the lab is removed, unless `keep` is set.

    `fresh`: all hosts are new. `served`: a model and a runtime in place of the lab's real ones.
    """
    lab = Lab(LAB)
    if fresh:
        lab.down()
    try:
        yield grown(lab, hosts, served)
    finally:
        if not keep:
            lab.down()


def grown(lab: Lab, hosts: tuple[str, ...], served: Artefacts | None = None) -> BenchFleet:
    """Add these hosts to the lab, and write its fleet file."""
    fleet = BenchFleet(lab, lab.up(LabSpec(hosts=hosts), say=print), served or artefacts.ensure(lambda _: None))
    fleet.write()
    return fleet

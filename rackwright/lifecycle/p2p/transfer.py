"""Which hosts need which model, and what each of them has of it already."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from rackwright.errors import HostError
from rackwright.lifecycle.session.session import Session
from rackwright.operations.filesystem.fetch import MARKER
from rackwright.operations.filesystem.stored_folder import MARGIN, unmounted
from rackwright.remote.answers import read_each
from rackwright.roles.model_store.settings import StoredModel, folder_of
from rackwright.roles.p2p.settings import ARRIVING, UNIT
from rackwright.state.shell import command

# $1: the folder of models, $2: the model's folder, $3: its digest, $4: where it arrives. If the model is complete,
# arrived files are no longer needed.
LOOK = f"""export LC_ALL=C
if [ "$(cat "$2/{MARKER}" 2>/dev/null)" = "$3" ]; then
  echo whole
  systemctl is-active -q {UNIT} || rm -rf -- "$4"
fi
d=$1; while [ ! -d "$d" ]; do d=$(dirname -- "$d"); done
echo "free $(df -B1 --output=avail -- "$d" | tail -n 1 | tr -d ' ')"
[ "$(stat -c %d -- "$d")" != "$(stat -c %d -- /)" ] || echo unmounted
echo "arrived $(du -s -B1 -- "$4" 2>/dev/null | cut -f 1)"
"""


@dataclass(frozen=True)
class Transfer:
    """One model's files and the hosts that should have them."""

    model: StoredModel
    roots: Mapping[str, str]
    """Host → its folder of models."""
    shared: frozenset[str] = frozenset()
    """Hosts whose folder of models is shared with others: it must be mounted."""

    @property
    def what(self) -> str:
        return f"{self.model.name} {self.model.digest[:16]}"

    def folder(self, host: str) -> str:
        return folder_of(self.roots[host], self.model.name, self.model.digest)

    def arriving(self, host: str) -> str:
        """Return the folder of the files until all are complete."""
        return f"{self.roots[host]}/{ARRIVING}/{self.model.digest[:16]}"

    @property
    def files(self) -> dict[str, int]:
        """sha256 → bytes of each content; empty files are left out, because nothing of them needs to arrive."""
        return {file.sha256: file.size for file in self.model.files if file.size}

    @property
    def bytes(self) -> int:
        return sum(self.files.values())


@dataclass(frozen=True)
class Has:
    """How many of a transfer's files one host has."""

    whole: bool = False
    free: int | None = None
    """Bytes free where its models are; None: df didn't say."""
    arrived: int = 0
    """Bytes."""
    mounted: bool = True
    """Whether its folder of models is on another file system than /."""

    def refuses(self, transfer: Transfer, host: str) -> str | None:
        """Return why the rest of the transfer can't arrive there, or None."""
        if self.whole:
            return None
        if host in transfer.shared and not self.mounted:
            return unmounted(transfer.roots[host])
        missing = max(0, transfer.bytes - self.arrived)
        if self.free is None or self.free >= missing + MARGIN:
            return None
        return f"has {self.free / 1e9:.2f} GB free, should have {(missing + MARGIN) / 1e9:.2f} GB"


def transfers(session: Session, hosts: Iterable[str]) -> Iterator[Transfer]:
    """Yield each model that several of these hosts need, among the hosts that use peer-to-peer transfer."""
    roots: dict[tuple[str, str], dict[str, str]] = {}
    models: dict[tuple[str, str], StoredModel] = {}
    for host in hosts:
        spec = session.hosts[host]
        if spec.p2p is None or spec.model_store is None:
            continue
        for stored in spec.model_store.own.models:
            # Two models with the same files have a folder each.
            key = stored.name, stored.digest
            models[key] = stored
            roots.setdefault(key, {})[host] = spec.model_store.root
    shared = frozenset(host for host, spec in session.hosts.items() if spec.model_store and spec.model_store.shared)
    yield from (Transfer(models[key], where, shared) for key, where in roots.items() if len(where) > 1)


def look(session: Session, transfer: Transfer) -> dict[str, Has | HostError]:
    """Return how much of the transfer each of its hosts has, or why the host can't be asked."""
    asked = {
        host: command(LOOK, root, transfer.folder(host), transfer.model.digest, transfer.arriving(host))
        for host, root in transfer.roots.items()
    }
    return read_each(session.remote.run_on(asked, asked), "looking for weights", parse)


def parse(output: str) -> Has:
    """Parse the output of LOOK."""
    found = dict(line.partition(" ")[::2] for line in output.splitlines())
    free, arrived = found.get("free", ""), found.get("arrived", "")
    return Has(
        whole="whole" in found,
        free=int(free) if free.isdigit() else None,
        arrived=int(arrived) if arrived.isdigit() else 0,
        mounted="unmounted" not in found,
    )

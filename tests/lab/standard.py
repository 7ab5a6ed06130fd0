"""The standard fleet: a gateway and a serving host after one apply, kept as images.

A lab whose tests need a fleet that serves starts from copies of them. Its own apply then changes what no two fleets
share: addresses, certificates, keys. tests/lab/test_copies.py proves that nothing else differs.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rackwright.lab import artefacts, copies, image, paths
from rackwright.lab.hosts import Lab
from tests.lab.labs import fresh_lab
from tests.lab.operator import operator
from tests.times.recorder import spent

HOSTS = ("gate1", "gpu1")
_ROOT = Path(__file__).parents[2]
_RECIPE = (
    *("roles", "deploys", "rackwright/fleet", "rackwright/operations", "rackwright/lab"),
    *("tests/lab/standard.py", "tests/lab/operator.py"),
)
"""With the bare image, the model and the runtime, this decides a host's state after the standard fleet's apply."""


@contextmanager
def standard_lab(name: str, *hosts: str, bare: tuple[str, ...] = ()) -> Iterator[Lab]:
    """Run the lab test-NAME, then remove it: copies of the standard fleet's hosts, and the hosts in `bare`."""
    with fresh_lab(name, *hosts, images=images_of(host for host in hosts if host not in bare)) as lab:
        yield lab


def images_of(hosts: Iterable[str]) -> dict[str, str]:
    """Return each host's image: the gateway's if its name starts with `gate`, otherwise the serving host's."""
    with spent("copies of applied hosts"):
        tags = _ensure()
    return {host: tags["gate1" if host.startswith("gate") else "gpu1"] for host in hosts}


def _ensure() -> dict[str, str]:
    digest = _digest()
    tags = {host: copies.tag_of(host, digest) for host in HOSTS}
    with paths.locked("standard"):
        if not copies.exist([*tags.values()]):
            _make(tags)
            copies.remove_old()
    return tags


def _make(tags: dict[str, str]) -> None:
    with fresh_lab("standard", *HOSTS) as lab, tempfile.TemporaryDirectory() as folder:
        operator(Path(folder), lab.fleet())("apply", "--yes")
        # Otherwise, an operator would have to confirm that another fleet's files are there.
        lab.exec("gate1", "rm -r /var/lib/rackwright/fleet")
        for host, tag in tags.items():
            lab.copy(host, tag)


def _digest() -> str:
    hashed = hashlib.sha256(f"{image.current().digest} {artefacts.RELEASE} {artefacts.MODEL_SHA256}".encode())
    for path in _files():
        hashed.update(f"\0{path.relative_to(_ROOT)}\0".encode() + path.read_bytes())
    return hashed.hexdigest()[:12]


def _files() -> Iterator[Path]:
    for name in _RECIPE:
        path = _ROOT / name
        found = [path] if path.is_file() else sorted(path.rglob("*"))
        yield from (one for one in found if one.is_file() and "__pycache__" not in one.parts)

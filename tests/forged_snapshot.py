"""Snapshots that restic never makes, written as someone who knows the repository's password can."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from tests.cheap_key import Master


@dataclass
class Forger:
    """Writes into a repository. The format is in restic's doc/design.rst."""

    repository: Path
    master: Master
    index: list[Mapping[str, object]] = field(default_factory=list)

    def data(self, text: bytes) -> str:
        """Store a part of a file in a pack of its own; return its id."""
        return self._packed(0, text)

    def tree(self, nodes: Sequence[Mapping[str, object]]) -> str:
        """Store a folder; return its id."""
        return self._packed(1, json.dumps({"nodes": nodes}).encode() + b"\n")

    def snapshot(self, tree: str) -> str:
        """Store a snapshot of this folder, and the index of all that was stored; return its id."""
        self._stored("index", json.dumps({"packs": self.index}).encode())
        said = {"time": "2026-11-01T08:00:00Z", "tree": tree, "paths": ["/"], "hostname": "gate1", "username": "root"}
        return self._stored("snapshots", json.dumps(said).encode())

    def _packed(self, kind: int, text: bytes) -> str:
        blob, sealed = sha256(text).hexdigest(), self.master.sealed(text)
        header = self.master.sealed(struct.pack("<BI", kind, len(sealed)) + bytes.fromhex(blob))
        pack = sealed + header + struct.pack("<I", len(header))
        name = sha256(pack).hexdigest()
        path = self.repository / "data" / name[:2] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pack)
        listed = {"id": blob, "type": ("data", "tree")[kind], "offset": 0, "length": len(sealed)}
        self.index.append({"id": name, "blobs": [listed]})
        return blob

    def _stored(self, folder: str, text: bytes) -> str:
        sealed = self.master.sealed(text)
        name = sha256(sealed).hexdigest()
        (self.repository / folder / name).write_bytes(sealed)
        return name


def file(name: str, size: int, *content: str, **more: object) -> Mapping[str, object]:
    """Return a file of a folder: with this size, whatever its parts have."""
    time = "2026-11-01T08:00:00Z"
    own = {
        "name": name,
        "type": "file",
        "mode": 0o600,
        "mtime": time,
        "atime": time,
        "ctime": time,
        "uid": 0,
        "gid": 0,
    }
    return {**own, "inode": 1, "links": 1, "size": size, "content": content, **more}

"""The package index that uv asks: the fleet file's and no other, by the way that the fleet file says."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass

from rackwright.fleet.downloads import route_from_here
from rackwright.fleet.fleet import Fleet
from rackwright.route import Route

_OTHERS = ("UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX")
"""What uv would ask before the index it is told of, or in its place."""
_LAST_LINES = 8


@dataclass(frozen=True)
class Index:
    """Where packages are asked for, and how."""

    url: str | None
    """None: what this machine is set to, else PyPI."""
    route: Route

    @property
    def environment(self) -> dict[str, str]:
        """Variables for uv. The fleet file's index answers alike on every machine."""
        mine = {name: value for name, value in os.environ.items() if not (self.url and name in _OTHERS)}
        route = self.route
        proxied = {"ALL_PROXY": route.proxy, "NO_PROXY": ",".join(route.no_proxy)} if route.proxy else {}
        return {**mine, **proxied, **({"SSL_CERT_FILE": route.ca_bundle} if route.ca_bundle else {})}


def index_of(fleet: Fleet) -> Index:
    """Return where the controller gets Python packages from."""
    return Index(fleet.file.downloads.package_index, route_from_here(fleet))


def run_uv(words: list[str], index: Index, *, seconds: int) -> str | None:
    """Run uv with these words. Return its last words if it fails, or that it took longer than it may."""
    from uv import find_uv_bin

    command = [find_uv_bin(), *words, "--quiet", "--no-config"]
    command += [f"--default-index={index.url}"] if index.url else []
    try:
        done = subprocess.run(
            command, env=index.environment, capture_output=True, text=True, check=False, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return f"it did not end within {seconds} s"
    lines = (line.strip() for line in done.stderr.strip().splitlines()[-_LAST_LINES:])
    return ("\n    ".join(lines) or f"it ended with {done.returncode}") if done.returncode else None

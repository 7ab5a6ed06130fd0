"""The package index for uv: only the fleet file's, through the fleet file's proxy and CAs."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass

from rackwright.fleet.downloads import route_from_here
from rackwright.fleet.fleet import Fleet
from rackwright.route import Route

_OTHERS = ("UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX")
"""Variables that would make uv use other indexes before or instead of the given one."""
_LAST_LINES = 8


@dataclass(frozen=True)
class Index:
    """A package index and the route to it."""

    url: str | None
    """None means this machine's own setting, else PyPI."""
    route: Route

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables for uv. With an index in the fleet file, the result is the same on every machine."""
        mine = {name: value for name, value in os.environ.items() if not (self.url and name in _OTHERS)}
        route = self.route
        proxied = {"ALL_PROXY": route.proxy, "NO_PROXY": ",".join(route.no_proxy)} if route.proxy else {}
        return {**mine, **proxied, **({"SSL_CERT_FILE": route.ca_bundle} if route.ca_bundle else {})}


def index_of(fleet: Fleet) -> Index:
    """Return the controller's source of Python packages."""
    return Index(fleet.file.downloads.package_index, route_from_here(fleet))


def run_uv(words: list[str], index: Index, *, seconds: int) -> str | None:
    """Run uv with these arguments. Return its last lines if it fails, a message if it times out, else None."""
    from uv import find_uv_bin

    command = [find_uv_bin(), *words, "--quiet", "--no-config"]
    command += [f"--default-index={index.url}"] if index.url else []
    try:
        done = subprocess.run(
            command, env=index.environment, capture_output=True, text=True, check=False, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return f"uv did not finish within {seconds} s"
    lines = (line.strip() for line in done.stderr.strip().splitlines()[-_LAST_LINES:])
    return ("\n    ".join(lines) or f"uv ended with exit status {done.returncode}") if done.returncode else None

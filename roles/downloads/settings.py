"""Where the host's own downloads come from: proxy, CAs, apt mirrors, package index."""

from __future__ import annotations

import hashlib

from rackwright.route import Route
from rackwright.values.base import Frozen
from rackwright.values.text import Line, Url

CA_BUNDLE = "/etc/rackwright/ca-bundle.pem"
PIP_CONF = "/etc/pip.conf"
UV_TOML = "/etc/uv/uv.toml"
MARK = "# Written by rackwright from `downloads:` of the fleet file. Take this line out, and the file is yours.\n"
"""First line of a pip or uv file that rackwright wrote."""


class Keyring(Frozen):
    """The keys that may sign a mirror: OpenPGP certificates, armored or not."""

    content: bytes

    @property
    def path(self) -> str:
        """Where apt reads it. apt distinguishes the two forms by the file's ending."""
        ending = "asc" if self.content.startswith(b"-----BEGIN") else "gpg"
        return f"/etc/apt/keyrings/rackwright-{hashlib.sha256(self.content).hexdigest()[:8]}.{ending}"


class AptMirror(Frozen):
    url: Url
    suites: tuple[Line, ...]
    components: tuple[Line, ...]
    """For suites that don't end in a slash."""
    keyring: Keyring | None = None
    """None: the keys that the host's apt already trusts."""


def inrelease(mirror: AptMirror, suite: str) -> str:
    """Return the URL of the file that apt reads first for a suite."""
    folder = suite.removeprefix("./") if suite.endswith("/") else f"dists/{suite}/"
    return f"{mirror.url.rstrip('/')}/{folder.lstrip('/')}InRelease"


class Settings(Frozen):
    """By default the role leaves a host as it found it, and removes what it wrote earlier."""

    route: Route = Route.model_construct()
    ca_bundle: str | None = None
    """PEM: the CAs with which apt, curl and pip verify servers; None: the system's."""
    mirrors: tuple[AptMirror, ...] = ()
    replace: bool = False
    """Whether the host's other apt sources are set aside."""
    package_index: Url | None = None
    """For Python packages; None: pip and uv are left alone."""

"""`downloads`: the sources of downloads in this network."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Tag

from rackwright.fleet.sections.forms import MAPPING_OR_LIST, Hosts
from rackwright.route import Direct
from rackwright.values.base import Frozen
from rackwright.values.paths import ControllerPath
from rackwright.values.secrets import SecretReference
from rackwright.values.text import HttpsUrl, Shape, Url

Suite = Annotated[
    str, Shape(r"(?!.*\.\.)[A-Za-z0-9.][A-Za-z0-9._/-]{0,63}", "should be a suite like trixie or trixie-security")
]
"""A suite with a slash at its end is a folder and has no components."""
Component = Annotated[
    str, Shape("[a-z0-9][a-z0-9._/-]{0,63}", "should be a component like main or non-free-firmware")
]
ProxyUrl = Annotated[
    str,
    Shape(
        r"https?://([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:]{2,45}\])(:[0-9]{1,5})?/?",
        "should be like http://proxy.acme.internal:3128; a proxy with a password can't be used, because every user "
        "of a host could read it there; let the proxy admit the hosts by their addresses",
    ),
]


class AptMirror(Frozen):
    url: Url
    suites: Annotated[tuple[Suite, ...], Field(min_length=1)]
    components: tuple[Component, ...] = ("main",)
    """The components of suites without a slash at their end."""
    key: ControllerPath | None = None
    """A keyring file with the keys that may sign it; if absent, the keys that the host's apt already trusts."""
    on: Hosts | None = None
    """Groups or hosts that use it; all if absent."""


class Downloads(Frozen):
    """The sources of downloads in this network."""

    hub: HttpsUrl = "https://huggingface.co"
    hub_token: SecretReference | None = None
    proxy: ProxyUrl | None = None
    """The proxy for all downloads, including the controller's, and for backups to rest servers."""
    no_proxy: tuple[Direct, ...] = ()
    """Destinations that are reached without the proxy, in addition to the fleet's own addresses."""
    ca_bundle: ControllerPath | None = None
    """A PEM file with the CAs that verify download servers, instead of the system's CAs."""
    apt_mirror: (
        Annotated[
            Annotated[AptMirror, Tag("mapping")] | Annotated[tuple[AptMirror, ...], Field(min_length=1), Tag("list")],
            MAPPING_OR_LIST,
        ]
        | None
    ) = None
    apt_existing: Literal["replace", "keep"] | None = None
    """What happens to other apt sources of the hosts; required with `apt_mirror`."""
    package_index: HttpsUrl | None = None
    """The index for Python packages."""

    @property
    def apt_mirrors(self) -> tuple[AptMirror, ...]:
        if self.apt_mirror is None:
            return ()
        return (self.apt_mirror,) if isinstance(self.apt_mirror, AptMirror) else self.apt_mirror

"""`downloads`: where bytes come from in this network."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Tag

from rackwright.fleet.sections.forms import MAPPING_OR_LIST, Hosts
from rackwright.route import Direct
from rackwright.values.base import Frozen
from rackwright.values.paths import ControllerPath
from rackwright.values.secrets import SecretReference
from rackwright.values.text import Shape, Url

Suite = Annotated[
    str, Shape(r"(?!.*\.\.)[A-Za-z0-9.][A-Za-z0-9._/-]{0,63}", "should be a suite like trixie or trixie-security")
]
"""One that ends in a slash is a folder that has no components."""
Component = Annotated[
    str, Shape("[a-z0-9][a-z0-9._/-]{0,63}", "should be a component like main or non-free-firmware")
]
ProxyUrl = Annotated[
    str,
    Shape(
        r"https?://([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:]{2,45}\])(:[0-9]{1,5})?/?",
        "should be like http://proxy.acme.internal:3128; one that asks for a password can't be used, for every user "
        "of a host could read it there: let the proxy admit the hosts by their addresses",
    ),
]


class AptMirror(Frozen):
    url: Url
    suites: Annotated[tuple[Suite, ...], Field(min_length=1)]
    components: tuple[Component, ...] = ("main",)
    """Of suites that don't end in a slash."""
    key: ControllerPath | None = None
    """Keyring file of who may sign it; when absent, the keys that the host's apt trusts already."""
    on: Hosts | None = None
    """Which hosts use it; all when absent."""


class Downloads(Frozen):
    """Where bytes come from in this network."""

    hub: Url = "https://huggingface.co"
    hub_token: SecretReference | None = None
    proxy: ProxyUrl | None = None
    """Of all downloads, those of the controller too, and of backups to rest servers."""
    no_proxy: tuple[Direct, ...] = ()
    """What is reached without the proxy; the fleet's own addresses are always among it."""
    ca_bundle: ControllerPath | None = None
    """PEM file with the CAs that servers of downloads are verified with, in place of the system's."""
    apt_mirror: (
        Annotated[
            Annotated[AptMirror, Tag("mapping")] | Annotated[tuple[AptMirror, ...], Field(min_length=1), Tag("list")],
            MAPPING_OR_LIST,
        ]
        | None
    ) = None
    apt_existing: Literal["replace", "keep"] | None = None
    """What happens to other apt sources of the hosts; asked for with `apt_mirror`."""
    package_index: Url | None = None
    """Of Python packages."""

    @property
    def apt_mirrors(self) -> tuple[AptMirror, ...]:
        if self.apt_mirror is None:
            return ()
        return (self.apt_mirror,) if isinstance(self.apt_mirror, AptMirror) else self.apt_mirror

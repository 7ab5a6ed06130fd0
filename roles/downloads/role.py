"""Let apt, pip and uv of the host download from where this network has it."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.apt_sources import keyrings_kept, others_aside, sources_file
from rackwright.operations.filesystem.file import checked_file
from rackwright.operations.filesystem.own_file import own_file
from rackwright.roles.downloads.configuration import apt_conf, apt_sources, pip_conf, uv_toml
from rackwright.roles.downloads.settings import CA_BUNDLE, MARK, PIP_CONF, UV_TOML, Settings

APT_CONF = "/etc/apt/apt.conf.d/rackwright-downloads"
"""apt reads it after all that begin with a digit: what it says counts."""


@deploy("site")
def downloads(*, settings: Settings) -> None:
    """Afterwards apt, pip and uv use what the settings name; what they don't name is as it was before the tool came.

    The host's own pip.conf or uv.toml is left alone. Its other apt sources are set aside only after the mirrors
    answered with good signatures.
    """
    own_file(name="Put the CAs of downloads in place", path=CA_BUNDLE, content=settings.ca_bundle)
    own_file(
        name="Tell apt the proxy and the CAs",
        path=APT_CONF,
        content=apt_conf(settings),
        check="apt-config -c {path} dump >/dev/null",
    )
    for keyring in {mirror.keyring.path: mirror.keyring for mirror in settings.mirrors if mirror.keyring}.values():
        checked_file(name="Put a mirror's key in place", path=keyring.path, content=keyring.content)
    sources_file(name="Write the mirrors' apt sources", content=apt_sources(settings) or None)
    others_aside(name="Set other apt sources aside, or put them back", aside=settings.replace)
    keyrings_kept(
        name="Remove keys of mirrors that are gone",
        keep=tuple(mirror.keyring.path for mirror in settings.mirrors if mirror.keyring),
    )
    own_file(name="Tell pip the package index", path=PIP_CONF, content=pip_conf(settings), mark=MARK)
    own_file(name="Tell uv the package index", path=UV_TOML, content=uv_toml(settings), mark=MARK)

"""Have the host's apt, pip and uv use this network's proxy, CAs, mirrors and package index."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.apt_sources import keyrings_kept, others_aside, sources_file
from rackwright.operations.filesystem.file import checked_file
from rackwright.operations.filesystem.own_file import own_file
from rackwright.roles.downloads.configuration import apt_conf, apt_sources, pip_conf, uv_toml
from rackwright.roles.downloads.settings import CA_BUNDLE, MARK, PIP_CONF, UV_TOML, Settings

APT_CONF = "/etc/apt/apt.conf.d/rackwright-downloads"
"""apt reads it after all files that begin with a digit, so its settings win."""


@deploy("downloads")
def downloads(*, settings: Settings) -> None:
    """Ensure that apt, pip and uv use what the settings name; everything else is as it was before rackwright.

    The host's own pip.conf or uv.toml is left alone. Its other apt sources are set aside only after the mirrors have
    answered with good signatures.
    """
    own_file(name="Write the CAs for downloads", path=CA_BUNDLE, content=settings.ca_bundle)
    own_file(
        name="Set apt's proxy and CAs",
        path=APT_CONF,
        content=apt_conf(settings),
        check="apt-config -c {path} dump >/dev/null",
    )
    for keyring in {mirror.keyring.path: mirror.keyring for mirror in settings.mirrors if mirror.keyring}.values():
        checked_file(name="Write a mirror's key", path=keyring.path, content=keyring.content)
    sources_file(name="Write the mirrors' apt sources", content=apt_sources(settings) or None)
    others_aside(name="Set other apt sources aside, or restore them", aside=settings.replace)
    keyrings_kept(
        name="Remove keys of mirrors that are no longer used",
        keep=tuple(mirror.keyring.path for mirror in settings.mirrors if mirror.keyring),
    )
    own_file(name="Set pip's package index", path=PIP_CONF, content=pip_conf(settings), mark=MARK)
    own_file(name="Set uv's package index", path=UV_TOML, content=uv_toml(settings), mark=MARK)

"""The sources of this host's own downloads."""

from __future__ import annotations

from rackwright.fleet.downloads import DownloadFiles, route_from_hosts
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.sections.downloads import AptMirror as Asked
from rackwright.roles.downloads.settings import AptMirror, Settings


def downloads_of(fleet: Fleet, host: str, files: DownloadFiles) -> Settings:
    """Given the files that `downloads:` names, return this host's download settings."""
    downloads = fleet.file.downloads
    mirrors = [mirror for mirror in downloads.apt_mirrors if mirror.on is None or host in fleet.named(mirror.on)]
    return Settings(
        route=route_from_hosts(fleet),
        ca_bundle=files.ca_bundle,
        mirrors=tuple(_mirror(mirror, files) for mirror in mirrors),
        replace=bool(mirrors) and downloads.apt_existing == "replace",
        package_index=downloads.package_index,
    )


def _mirror(asked: Asked, files: DownloadFiles) -> AptMirror:
    return AptMirror(url=asked.url, suites=asked.suites, components=asked.components, keyring=files.keyring(asked))

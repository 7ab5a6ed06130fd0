"""Where this host's own downloads come from."""

from __future__ import annotations

from rackwright.fleet.downloads import SiteFiles, route_from_hosts
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.sections.downloads import AptMirror as Asked
from rackwright.roles.downloads.settings import AptMirror, Settings


def site_of(fleet: Fleet, host: str, files: SiteFiles) -> Settings:
    """Given the files that `site:` names, return what of it is this host's."""
    site = fleet.file.site
    mirrors = [mirror for mirror in site.apt_mirrors if mirror.on is None or host in fleet.named(mirror.on)]
    return Settings(
        route=route_from_hosts(fleet),
        ca_bundle=files.ca_bundle,
        mirrors=tuple(_mirror(mirror, files) for mirror in mirrors),
        replace=bool(mirrors) and site.apt_existing == "replace",
        package_index=site.package_index,
    )


def _mirror(asked: Asked, files: SiteFiles) -> AptMirror:
    return AptMirror(url=asked.url, suites=asked.suites, components=asked.components, keyring=files.keyring(asked))

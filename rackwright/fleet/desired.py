"""The host spec of every host, from the fleet's files, with secrets resolved."""

from __future__ import annotations

from rackwright.fleet.backup_access import access_of
from rackwright.fleet.ca import ca_of
from rackwright.fleet.downloads import download_files
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.gateway_certificate import own_certificate_of
from rackwright.fleet.hosts.cloud_access import access_to_clouds
from rackwright.fleet.hosts.compose import host_specs
from rackwright.fleet.hosts.gateway import Keys
from rackwright.fleet.hosts.host_spec import Credentials, HostSpec
from rackwright.fleet.hosts.tool_secrets import secrets_of_tool
from rackwright.fleet.keys_file import as_gateway_keys, as_revoked, read_keys_file
from rackwright.fleet.lock import Lock
from rackwright.fleet.secrets import hub_token


def desired(fleet: Fleet, lock: Lock, credentials: Credentials | None = None) -> dict[str, HostSpec]:
    """Return the spec of each host in service. Raise FleetError or SecretError if a file or secret is unusable.

    Without `credentials`, those of the fleet are resolved.
    """
    file = read_keys_file(fleet.sibling("keys.yml"))
    keys = Keys(as_gateway_keys(file.keys, fleet.file.teams), as_revoked(file.revoked))
    return host_specs(fleet, lock, keys, credentials or _resolved(fleet))


def _resolved(fleet: Fleet) -> Credentials:
    return Credentials(
        issuer=ca_of(fleet),
        own_certificate=own_certificate_of(fleet),
        hub_token=hub_token(fleet),
        backup=access_of(fleet),
        download_files=download_files(fleet),
        clouds=access_to_clouds(fleet),
        tool=secrets_of_tool(fleet),
    )

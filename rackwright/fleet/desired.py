"""What should be on every host, with what it takes to get it there: the fleet's files read, its secrets resolved."""

from __future__ import annotations

from rackwright.fleet.authority import authority_of
from rackwright.fleet.backup_access import access_of
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.host.compose import host_models
from rackwright.fleet.host.gateway import Keys
from rackwright.fleet.host.model import Credentials, HostModel
from rackwright.fleet.keys import as_gateway_keys, as_revoked, read_keys_file
from rackwright.fleet.lock import Lock
from rackwright.fleet.own_certificate import own_certificate_of
from rackwright.fleet.secrets import hub_token
from rackwright.fleet.site_files import site_files


def desired(fleet: Fleet, lock: Lock) -> dict[str, HostModel]:
    """Return each host in service with its model. Raise FleetError or SecretError if a file or secret isn't good."""
    credentials = Credentials(
        issuer=authority_of(fleet),
        own_certificate=own_certificate_of(fleet),
        hub_token=hub_token(fleet),
        backup=access_of(fleet),
        site_files=site_files(fleet),
    )
    file = read_keys_file(fleet.beside("keys.yml"))
    keys = Keys(as_gateway_keys(file.keys), as_revoked(file.revoked))
    return host_models(fleet, lock, keys, credentials)

"""Each host's model, put together: from the fleet, the lock and the keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.host.backup import backup_of
from rackwright.fleet.host.certificates import certificates_of
from rackwright.fleet.host.firewall import firewall_of
from rackwright.fleet.host.gateway import gateway_of
from rackwright.fleet.host.layout import layout_of
from rackwright.fleet.host.model import Credentials, HostModel
from rackwright.fleet.host.networks import never_shut_out
from rackwright.fleet.host.people import people_of
from rackwright.fleet.host.serving import serving_of
from rackwright.fleet.host.site import site_of
from rackwright.fleet.host.vip import vip_of
from rackwright.fleet.lock import Lock
from rackwright.roles.gateway.settings import Key

_NONE = Credentials()


def host_models(
    fleet: Fleet, lock: Lock, keys: tuple[Key, ...] = (), credentials: Credentials = _NONE
) -> dict[str, HostModel]:
    """Given a fleet and a lock that answers it, return each host in service with its model."""
    composer = _Composer(fleet, lock, keys, credentials)
    return {name: composer.host(name) for name in fleet.hosts}


@dataclass(frozen=True)
class _Composer:
    """Holds what every part of a host's model is made from."""

    fleet: Fleet
    lock: Lock
    keys: tuple[Key, ...]
    credentials: Credentials
    today: date = field(default_factory=lambda: datetime.now(UTC).date())

    def host(self, name: str) -> HostModel:
        fleet, lock = self.fleet, self.lock
        serving = serving_of(fleet, lock, name)
        gateway = gateway_of(fleet, lock, name, self.keys)
        vip = vip_of(fleet, name)
        backup = backup_of(fleet, lock, name)
        return HostModel(
            name=name,
            layout=layout_of(fleet, name, serving, gateway, vip, backup),
            site=site_of(fleet, name, self.credentials.site_files),
            firewall=firewall_of(fleet, lock, name, vip),
            baseline=fleet.file.hosts[name].baseline.decided(),
            never_shut_out=never_shut_out(fleet, name),
            people=people_of(fleet, name, self.today),
            certificates=certificates_of(fleet, name),
            model_store=serving.model_store,
            runtimes=serving.runtimes,
            replicas=serving.replicas,
            probes=serving.probes,
            host_proxy=serving.host_proxy,
            gateway=gateway,
            vip=vip,
            backup=backup,
            credentials=self.credentials,
        )

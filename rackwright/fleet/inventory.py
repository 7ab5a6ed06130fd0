"""The fleet as an inventory for pyinfra's own command line: host names with data. Doesn't import pyinfra."""

from __future__ import annotations

from rackwright.fleet.desired import desired
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock_file import read_lock, require_match
from rackwright.fleet.targets import target

HostData = dict[str, object]


def pyinfra_hosts(fleet: Fleet) -> list[tuple[str, HostData]]:
    """Return each host in service with its data. Raise FleetError if no lock matches the fleet file."""
    lock = read_lock(fleet.sibling("lock"))
    require_match(fleet, lock)
    specs = desired(fleet, lock)
    return [(_name(fleet, name), _data(fleet, name) | {"spec": spec}) for name, spec in specs.items()]


def _name(fleet: Fleet, name: str) -> str:
    return "@local" if fleet.is_local(name) else name


def _data(fleet: Fleet, name: str) -> HostData:
    host = target(fleet, name)
    data: HostData = {
        "ssh_hostname": host.address,
        "ssh_user": host.user,
        "ssh_port": host.port,
        "ssh_known_hosts_file": str(host.known_hosts),
        "ssh_strict_host_key_checking": "yes",
        "_sudo": host.user != "root",
    }
    if host.key:
        data |= {"ssh_key": str(host.key), "ssh_allow_agent": False, "ssh_look_for_keys": False}
    return data

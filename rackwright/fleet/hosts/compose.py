"""Compose each host's spec from the fleet, the lock and the keys."""

from __future__ import annotations

from datetime import UTC, date, datetime

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.hosts.backup import backup_of
from rackwright.fleet.hosts.boot import boot_of
from rackwright.fleet.hosts.capture import records
from rackwright.fleet.hosts.certificate import certificates_of
from rackwright.fleet.hosts.clouds import cloud_of
from rackwright.fleet.hosts.downloads import downloads_of
from rackwright.fleet.hosts.driver import cuda_of, driver_settings, updates_beside
from rackwright.fleet.hosts.etcd import etcd_of
from rackwright.fleet.hosts.firewall import firewall_of
from rackwright.fleet.hosts.gateway import Keys, gateway_of
from rackwright.fleet.hosts.host_spec import Credentials, HostSpec
from rackwright.fleet.hosts.layout import layout_of
from rackwright.fleet.hosts.ledger import ledger_of
from rackwright.fleet.hosts.network import never_shut_out
from rackwright.fleet.hosts.p2p import p2p_of
from rackwright.fleet.hosts.people import people_of
from rackwright.fleet.hosts.serving import serving_of
from rackwright.fleet.hosts.tool import tool_of
from rackwright.fleet.hosts.usage import usage_of
from rackwright.fleet.hosts.vip import vip_of
from rackwright.fleet.lock import Lock
from rackwright.roles.patch.settings import Settings as Patch

_NONE = Credentials()
_NO_KEYS = Keys()


def host_specs(
    fleet: Fleet, lock: Lock, keys: Keys = _NO_KEYS, credentials: Credentials = _NONE
) -> dict[str, HostSpec]:
    """Given a fleet and a lock that matches it, return the spec of each host in service."""
    today = datetime.now(UTC).date()
    return {name: _host(fleet, lock, keys, credentials, today, name) for name in fleet.hosts}


def _host(fleet: Fleet, lock: Lock, keys: Keys, credentials: Credentials, today: date, name: str) -> HostSpec:
    serving = serving_of(fleet, lock, name)
    gateway = gateway_of(fleet, lock, name, keys)
    cloud = cloud_of(fleet, name)
    vip = vip_of(fleet, name)
    etcd = etcd_of(fleet, name)
    tool = tool_of(fleet, lock, name)
    backup = backup_of(fleet, lock, name, tuple(runtime.kept for runtime in serving.runtimes if runtime.kept))
    p2p = p2p_of(fleet, name)
    driver = driver_settings(fleet, lock, name)
    boot = boot_of(fleet, driver)
    return HostSpec(
        name=name,
        layout=layout_of(fleet, name, serving, gateway, cloud, vip, etcd, tool, backup, driver, p2p, boot),
        downloads=downloads_of(fleet, name, credentials.download_files),
        firewall=firewall_of(fleet, lock, name, vip),
        baseline=updates_beside(driver, fleet.file.hosts[name].baseline.decided()),
        never_shut_out=never_shut_out(fleet, name),
        people=people_of(fleet, name, today),
        certificates=certificates_of(fleet, name),
        model_store=serving.model_store,
        runtimes=serving.runtimes,
        replicas=serving.replicas,
        probes=serving.probes,
        replica_groups=serving.replica_groups,
        gpu_faults=serving.gpu_faults,
        host_proxy=serving.host_proxy,
        gateway=gateway,
        cloud=cloud,
        records=records(fleet, name),
        ledger=ledger_of(gateway),
        usage=usage_of(gateway, fleet.file.teams),
        vip=vip,
        etcd=etcd,
        tool=tool,
        backup=backup,
        driver=driver,
        boot=boot,
        p2p=p2p,
        patch=Patch() if fleet.file.patch else None,
        cuda=cuda_of(fleet, lock, name),
        credentials=credentials,
    )

"""rackwright's units, files and users on this host; others with rackwright's names are removed."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.hosts.host_spec import InstalledTool
from rackwright.fleet.hosts.serving import Serving
from rackwright.roles.backup.settings import Settings as Backup
from rackwright.roles.boot.settings import FILES as BOOT_FILES
from rackwright.roles.boot.settings import Settings as Boot
from rackwright.roles.capture.settings import FOLDER as CAPTURE
from rackwright.roles.capture.settings import UNITS as CAPTURE_UNITS
from rackwright.roles.capture.settings import USER as CAPTURE_USER
from rackwright.roles.certificate.settings import files as certificate_files
from rackwright.roles.cloud.settings import USER as CLOUD_USER
from rackwright.roles.cloud.settings import Settings as Cloud
from rackwright.roles.cutover.settings import UNITS as CUTOVER_UNITS
from rackwright.roles.etcd.settings import FILES as ETCD_FILES
from rackwright.roles.etcd.settings import UNIT as ETCD_UNIT
from rackwright.roles.etcd.settings import USER as ETCD_USER
from rackwright.roles.etcd.settings import Settings as Etcd
from rackwright.roles.firewall.settings import UNIT as FIREWALL_UNIT
from rackwright.roles.gateway.settings import FOLDER as GATEWAY
from rackwright.roles.gateway.settings import Settings as Gateway
from rackwright.roles.gpu_faults.settings import FILES as GPU_FAULTS_FILES
from rackwright.roles.gpu_faults.settings import UNITS as GPU_FAULTS_UNITS
from rackwright.roles.host_proxy.settings import FOLDER as HOST_PROXY
from rackwright.roles.layout.settings import SOCKETS_UNIT, Settings
from rackwright.roles.ledger.settings import FOLDER as LEDGER
from rackwright.roles.ledger.settings import UNITS as LEDGER_UNITS
from rackwright.roles.nvidia_driver.settings import FILES as DRIVER_FILES
from rackwright.roles.nvidia_driver.settings import UNIT as DRIVER_UNIT
from rackwright.roles.nvidia_driver.settings import Settings as Driver
from rackwright.roles.p2p.settings import FOLDER as P2P
from rackwright.roles.p2p.settings import USER as P2P_USER
from rackwright.roles.p2p.settings import Settings as PeerToPeer
from rackwright.roles.tool.settings import USER as TOOL_USER
from rackwright.roles.usage.settings import FOLDER as USAGE
from rackwright.roles.usage.settings import UNITS as USAGE_UNITS
from rackwright.roles.vip.settings import FOLDER as VIP
from rackwright.roles.vip.settings import UNIT as VIP_UNIT
from rackwright.roles.vip.settings import Settings as Vip


def layout_of(
    fleet: Fleet,
    host: str,
    serving: Serving,
    gateway: Gateway | None,
    cloud: Cloud | None,
    vip: Vip | None,
    etcd: Etcd | None,
    tool: InstalledTool | None,
    backup: Backup | None,
    driver: Driver | None,
    p2p: PeerToPeer | None,
    boot: Boot | None,
) -> Settings:
    """Given what runs on this host, return the units, files and users that should be there."""
    return Settings(
        fleet=fleet.file.fleet,
        host=host,
        serves=bool(serving.replicas),
        keep_units=tuple(sorted(_units(serving, gateway, cloud, vip, etcd, tool, backup, driver))),
        keep_files=tuple(sorted(_files(serving, gateway, cloud, vip, etcd, tool, backup, driver, p2p, boot))),
        keep_users=_users(serving, gateway, cloud, etcd, tool, p2p),
        keep_builds=tuple(sorted(runtime.kept for runtime in serving.runtimes if runtime.kept)),
        keep_tool=tool.settings.folder if tool else None,
    )


def _users(
    serving: Serving,
    gateway: Gateway | None,
    cloud: Cloud | None,
    etcd: Etcd | None,
    tool: InstalledTool | None,
    p2p: PeerToPeer | None,
) -> tuple[str, ...]:
    others = [user for user, of in ((ETCD_USER, etcd), (TOOL_USER, tool), (P2P_USER, p2p)) if of]
    others += [CLOUD_USER] if cloud and cloud.proxy else []
    others += [CAPTURE_USER] if gateway and gateway.captures else []
    return tuple(sorted({*(replica.user for replica in serving.replicas), *others}))


def _units(
    serving: Serving,
    gateway: Gateway | None,
    cloud: Cloud | None,
    vip: Vip | None,
    etcd: Etcd | None,
    tool: InstalledTool | None,
    backup: Backup | None,
    driver: Driver | None,
) -> Iterator[str]:
    yield FIREWALL_UNIT
    if serving.replicas:
        yield SOCKETS_UNIT
    for replica in serving.replicas:
        yield replica.unit
    for probe in serving.probes:
        yield from probe.units
    for replica_group in serving.replica_groups:
        yield from replica_group.units
    if serving.gpu_faults:
        yield from GPU_FAULTS_UNITS
    if serving.host_proxy:
        yield from serving.host_proxy.units
    if gateway:
        yield from (*gateway.units, *USAGE_UNITS)
        if gateway.clouds:
            yield from CUTOVER_UNITS
        if gateway.captures:
            yield from CAPTURE_UNITS
        if gateway.clouds:
            yield from LEDGER_UNITS
    if cloud:
        yield from cloud.units
    if vip:
        yield VIP_UNIT
    if etcd:
        yield ETCD_UNIT
    if tool:
        yield from tool.settings.units
    if backup:
        yield from backup.units
    if driver:
        yield DRIVER_UNIT


def _files(
    serving: Serving,
    gateway: Gateway | None,
    cloud: Cloud | None,
    vip: Vip | None,
    etcd: Etcd | None,
    tool: InstalledTool | None,
    backup: Backup | None,
    driver: Driver | None,
    p2p: PeerToPeer | None,
    boot: Boot | None,
) -> Iterator[str]:
    for probe in serving.probes:
        yield from probe.scripts.values()
    for replica_group in serving.replica_groups:
        yield from replica_group.scripts.values()
    if serving.gpu_faults:
        yield from GPU_FAULTS_FILES
    if serving.host_proxy:
        yield from (HOST_PROXY, *certificate_files(serving.host_proxy.certificate))
    if gateway:
        yield from (GATEWAY, USAGE)
        if gateway.captures:
            yield CAPTURE
        if gateway.clouds:
            yield LEDGER
        for name in (gateway.certificate, gateway.client_certificate):
            yield from certificate_files(name)
    if cloud:
        yield from cloud.files
    if vip:
        yield VIP
    if etcd:
        yield from ETCD_FILES
    if tool:
        yield from tool.settings.files
    if backup:
        yield from backup.files
    if driver:
        yield from DRIVER_FILES
    if boot:
        yield from BOOT_FILES
    if p2p:
        yield P2P

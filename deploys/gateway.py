"""A gateway: its certificates, HAProxy, its clouds, its usage, its ledger and the virtual address."""

from __future__ import annotations

from pyinfra.context import host

from rackwright.fleet.hosts.host_spec import HostSpec
from rackwright.roles.capture.role import capture
from rackwright.roles.certificate.role import certificate, own_certificate
from rackwright.roles.cloud.role import cloud
from rackwright.roles.cutover.role import cutover
from rackwright.roles.gateway.role import gateway as gateway_role
from rackwright.roles.ledger.role import ledger
from rackwright.roles.usage.role import usage
from rackwright.roles.vip.role import vip


def gateway() -> None:
    """Ensure that clients of this gateway reach every model of the fleet, also at the virtual address."""
    spec: HostSpec = host.data.spec
    if spec.gateway is None:
        return
    for issued in spec.certificates:
        if issued.name in (spec.gateway.certificate, spec.gateway.client_certificate):
            certificate(settings=issued, issuer=spec.credentials.issuer)
    if own := spec.credentials.own_certificate:
        own_certificate(stem=spec.gateway.certificate, certificate=own)
    if spec.cloud:
        cloud(settings=spec.cloud, access=spec.credentials.clouds)
    gateway_role(settings=spec.gateway)
    if spec.gateway.clouds:
        cutover()
    if spec.records:
        # After HAProxy, whose user may connect to its socket.
        capture()
    if spec.usage:
        usage(settings=spec.usage)
    if spec.ledger:
        ledger(settings=spec.ledger)
    if spec.vip:
        vip(settings=spec.vip)

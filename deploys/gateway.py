"""A gateway: what clients see, and what host proxies let in."""

from __future__ import annotations

from pyinfra.context import host

from rackwright.fleet.hosts.host_spec import HostModel
from rackwright.roles.certificate.role import certificate, own_certificate
from rackwright.roles.gateway.role import gateway as gateway_role
from rackwright.roles.vip.role import vip


def gateway() -> None:
    """Afterwards clients of this gateway reach every model of the fleet, by the virtual address too if it has it."""
    model: HostModel = host.data.model
    if model.gateway is None:
        return
    for issued in model.certificates:
        if issued.name in (model.gateway.certificate, model.gateway.client_certificate):
            certificate(settings=issued, issuer=model.credentials.issuer)
    if own := model.credentials.own_certificate:
        own_certificate(stem=model.gateway.certificate, certificate=own)
    gateway_role(settings=model.gateway)
    if model.vip:
        vip(settings=model.vip)

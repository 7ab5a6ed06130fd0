"""A control host, if there are several: its certificate, and etcd, ready to become a member."""

from __future__ import annotations

from pyinfra.context import host

from rackwright.fleet.hosts.host_spec import HostSpec
from rackwright.roles.certificate.role import certificate
from rackwright.roles.etcd.role import etcd
from rackwright.roles.etcd.settings import CERTIFICATE


def control() -> None:
    """Ensure that etcd is installed on this control host; it is neither started nor restarted."""
    spec: HostSpec = host.data.spec
    if spec.etcd is None:
        return
    for issued in spec.certificates:
        if issued.name == CERTIFICATE:
            certificate(settings=issued, issuer=spec.credentials.issuer)
    etcd(settings=spec.etcd)

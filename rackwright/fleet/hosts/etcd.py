"""This host's member of etcd, if it is one of several control hosts."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.hosts.network import networks_of
from rackwright.ports import ETCD_PEER_PORT
from rackwright.roles.certificate.settings import Settings as Certificate
from rackwright.roles.etcd.settings import CERTIFICATE, Settings
from rackwright.roles.firewall.settings import Opening


def etcd_of(fleet: Fleet, host: str) -> Settings | None:
    """Return the settings of the host's member; None if the host is no control host, or the only one."""
    if host not in fleet.etcd_hosts:
        return None
    return Settings(host=host, address=fleet.service(host), control=_control(fleet))


def etcd_certificate(fleet: Fleet, host: str) -> Certificate:
    """Return the certificate with which a member serves and asks the other members."""
    # etcd takes a connection only from an address in the certificate. Clients come from loopback.
    names = (_control(fleet), host, str(fleet.service(host)), "127.0.0.1", "localhost")
    return Certificate(name=CERTIFICATE, names=names, client=True)


def openings_to_etcd(fleet: Fleet, host: str) -> Iterator[Opening]:
    """Yield the firewall opening for the other members."""
    if host in fleet.etcd_hosts:
        # Those that are `disabled`, too: one that still runs counts for the majority.
        others = networks_of(fleet, tuple(name for name in fleet.etcd_hosts if name != host))
        yield Opening(port=ETCD_PEER_PORT, sources=others, at="service", why="control hosts to each other")


def _control(fleet: Fleet) -> str:
    """Return the name that the certificates of control hosts have, and no other: hosts' names have no dot."""
    return f"etcd.{fleet.file.fleet}.rackwright.internal"

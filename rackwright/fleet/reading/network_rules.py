"""Rules for addresses, which must differ, and for the packet filter, which must not lock rackwright out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from rackwright.fleet.reading.draft import Draft
from rackwright.fleet.reading.nodes import AnyNode, Entries, Findings, Items, Scalar, texts
from rackwright.ports import ETCD_CLIENT_PORT, ETCD_PEER_PORT, FIRST_PORT, LAST_PORT, PEERS_PORT
from rackwright.values.network import Address, Network, host_address, parse_address, parse_network

T = TypeVar("T")
_ETCD = (ETCD_CLIENT_PORT, ETCD_PEER_PORT)


def check_addresses(draft: Draft, findings: Findings) -> None:
    """Add a problem unless each host has its own address and port, and its own IP address for the gateways."""
    reached: dict[tuple[str, int], str] = {}
    service: dict[str, str] = {}
    fabric: dict[str, str] = {}
    for name, host in draft.root.maps("hosts"):
        address = host.get("address")
        if not (isinstance(address, Scalar) and isinstance(address.value, str)):
            continue
        _check_differs(
            address, (_plain(address.value), _port(host)), name, reached, findings, "the same address and port"
        )
        for network, taken in (("service", service), ("fabric", fabric)):
            node = host.get(network)
            own = node if isinstance(node, Scalar) and node.value is not None else address
            _check_differs(own, _plain(own.text), name, taken, findings, f"the same {network} address")
        _check_reachable(draft, name, host, address, findings)
        _check_jump(draft, name, host, findings)


def check_vip(draft: Draft, findings: Findings) -> None:
    """Add a problem if the virtual address is a host's own, or of another IP version than the gateways' addresses."""
    node = draft.root.get("gateway", "vip")
    vip = _ip(node.text) if isinstance(node, Scalar) else None
    if vip is None or node is None:
        return
    for name, host in draft.root.maps("hosts"):
        if vip in (_own(host, "address"), _own(host, "service"), _own(host, "fabric")):
            findings.add(node, f"{vip} is {name}'s own address", "name one that no machine has")
        service = service_address(host)
        if name in draft.gateways and service and service.version != vip.version:
            findings.add(node, f"{name} has an IPv{service.version} address", f"name an IPv{service.version} address")


def service_address(host: Entries) -> Address | None:
    """Return the IP address where gateways, clients and control hosts reach the host; None if it isn't known."""
    return _own(host, "service") or _own(host, "address")


def _own(host: Entries, key: str) -> Address | None:
    node = host.get(key)
    return _ip(node.text) if isinstance(node, Scalar) else None


def check_firewall(draft: Draft, findings: Findings) -> None:
    """Add a problem if `allow` opens a port that has its own rule, or if rackwright or admins would be locked out."""
    admins = draft.root.get("firewall", "admin_from")
    if isinstance(admins, Items) and not admins.items:
        findings.add(
            admins,
            "is empty, so that neither you nor rackwright could reach sshd",
            "name the networks of your admins",
        )
    _check_jumps_are_admitted(draft, list(networks(admins)), findings)
    for rule in draft.allowed():
        port = rule.get("port")
        if isinstance(port, Scalar) and isinstance(port.value, int):
            for name in draft.named(rule.get("on")):
                _check_opening(draft, name, port, port.value, findings)
    for name, host in draft.root.maps("hosts"):
        _check_ssh_port(draft, name, host, findings)
        _check_root(name, host, findings)


def _check_opening(draft: Draft, host: str, port: Scalar, number: int, findings: Findings) -> None:
    settings = draft.hosts.get(host)
    if isinstance(settings, Entries) and number == _port(settings):
        findings.add(port, f"sshd uses port {number} on {host}", "use admin_from to open it")
    if number == 443 and host in draft.gateways:
        findings.add(port, f"the gateway uses port 443 on {host}", "use clients_from to open it")
    if number == PEERS_PORT and host in draft.gateways:
        findings.add(port, f"the gateways use port {number} between themselves on {host}", "choose another port")
    if number in _ETCD and _agrees(draft, host):
        findings.add(port, f"the control hosts use port {number} on {host}", "only control hosts may reach it")
    if FIRST_PORT <= number <= LAST_PORT and host in draft.serving:
        findings.add(
            port,
            f"the replicas use ports {FIRST_PORT} to {LAST_PORT} on {host}",
            "only gateways may reach these ports",
        )


def _agrees(draft: Draft, host: str) -> bool:
    return len(draft.control) > 1 and host in draft.control


def _check_ssh_port(draft: Draft, name: str, host: Entries, findings: Findings) -> None:
    number, node = _port(host), host.get("ssh", "port") or host
    if number == 443 and name in draft.gateways:
        findings.add(node, f"the gateway uses port 443 on {name}", "let sshd listen on another port")
    if number == PEERS_PORT and name in draft.gateways:
        findings.add(node, f"the gateways use port {number} between themselves on {name}", "choose another port")
    if number in _ETCD and _agrees(draft, name):
        findings.add(node, f"the control hosts use port {number} on {name}", "choose another port")
    if FIRST_PORT <= number <= LAST_PORT and name in draft.serving:
        findings.add(node, f"the replicas use ports {FIRST_PORT} to {LAST_PORT} on {name}", "choose another port")


def _check_root(name: str, host: Entries, findings: Findings) -> None:
    root_login, user = host.get("baseline", "sshd", "root_login"), host.get("ssh", "user")
    as_root = user is None or (isinstance(user, Scalar) and user.value in (None, "root"))
    address = host.get("address")
    over_ssh = not isinstance(address, Scalar) or address.text != "@local"
    if as_root and over_ssh and isinstance(root_login, Scalar) and root_login.value in ("no", False):
        findings.add(
            root_login,
            f"rackwright logs in to {name} as root, so it would be locked out",
            "let it log in as another user with 'ssh: {user: …}', or leave root_login out",
        )


def _check_differs(node: Scalar, value: T, host: str, taken: dict[T, str], findings: Findings, what: str) -> None:
    other = taken.setdefault(value, host)
    if other != host:
        if node.text == "@local":
            findings.add(node, f"{other} is @local already", "rackwright runs on one machine")
        else:
            findings.add(node, f"{other} has {what}", "each host needs its own")


def _check_reachable(draft: Draft, name: str, host: Entries, address: Scalar, findings: Findings) -> None:
    service = host.get("service")
    if isinstance(service, Scalar) and service.value is not None:
        return
    if address.text == "@local" and len(draft.hosts) > 1:
        findings.add(address, f"the other hosts can't reach {name} at @local", "give it 'service: ADDRESS' too")
    if _is_dns_name(address.text):
        findings.add(address, "is not an IP address, and there is no 'service'", "give it 'service: ADDRESS' too")


def _check_jump(draft: Draft, name: str, host: Entries, findings: Findings) -> None:
    jump = host.get("ssh", "jump")
    if not isinstance(jump, Scalar) or jump.text not in draft.hosts:
        return
    over = draft.hosts[jump.text]
    if jump.text == name:
        findings.add(jump, f"{name} can't be reached through itself", "name another host, or leave jump out")
    elif jump.text not in draft.in_service:
        findings.add(jump, f"{jump.text} is out of service", "name a host in service")
    elif isinstance(over, Entries) and over.get("ssh", "jump") is not None:
        findings.add(jump, f"{jump.text} is itself reached through another host", "name one that is reached directly")


def _check_jumps_are_admitted(draft: Draft, admins: list[Network], findings: Findings) -> None:
    if not admins:
        return
    for name, host in draft.root.maps("hosts"):
        jump = host.get("ssh", "jump")
        node = jump.get("address") if isinstance(jump, Entries) else jump
        if not isinstance(node, Scalar) or node.text == name:
            continue
        addresses = list(addresses_of(draft, node.text))
        if addresses and not any(address in network for address in addresses for network in admins):
            findings.add(
                node,
                f"the firewall would lock rackwright out of {name}: its jump host is not in admin_from",
                f"add {addresses[0]} to firewall.admin_from",
            )


def addresses_of(draft: Draft, name: str) -> Iterator[Address]:
    """Given a host's name or an address, yield those that it may connect from, as far as the file names them."""
    host = draft.hosts.get(name)
    written = [name]
    if isinstance(host, Entries):
        nodes = [host.get(key) for key in ("address", "service", "fabric")]
        written = [node.text for node in nodes if isinstance(node, Scalar)]
    yield from (address for text in written if (address := _ip(text)))


def networks(node: AnyNode | None) -> Iterator[Network]:
    """Yield the networks of a list, without those that are malformed."""
    for item in texts(node):
        try:
            yield parse_network(item.value)
        except ValueError:
            continue


def _ip(text: str) -> Address | None:
    try:
        return parse_address(text)
    except ValueError:
        return None


def _is_dns_name(text: str) -> bool:
    try:
        return not _ip(host_address(text)) and text != "@local"
    except ValueError:
        return False


def _plain(text: str) -> str:
    address = _ip(text)
    return str(address) if address else text


def _port(host: Entries) -> int:
    node = host.get("ssh", "port")
    return node.value if isinstance(node, Scalar) and isinstance(node.value, int) else 22

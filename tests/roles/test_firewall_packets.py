"""What the rendered rules do to packets: they are loaded into a network namespace, and a neighbor sends frames."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from rackwright.lifecycle.drill.scratch_hosts.isolation_scripts import LISTING
from rackwright.lifecycle.drill.scratch_hosts.ruleset import Allowed, ruleset
from rackwright.operations.facts.nftables import LIST, TABLE
from rackwright.roles.firewall.rules import rules
from rackwright.roles.firewall.settings import Confined, Opening, Settings
from tests.roles.frames import Packet, icmp, icmpv6, tcp, udp
from tests.roles.walled import ADDRESS, ADMIN, BEHIND, FABRIC, LINK_LOCAL, SERVICE, Walled, walled_host, within

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes network namespaces")

OWN = "fd20::11"
OTHER, STRANGER = "10.20.0.12", "10.99.0.7"
NEAR, FAR = "fe80::7", "fd20::7"
USER = "nobody"
SETTINGS = Settings(
    openings=(
        Opening(port=22, sources=("10.20.0.0/24", "fd20::/64"), at="address", why="ssh from admins"),
        Opening(port=8100, last=8102, sources=(ADMIN,), at="service", why="gateways"),
        Opening(port=9100, sources=(OTHER,), why="monitoring"),
        Opening(port=9200, sources=(ADMIN,), why="whom a confined engine may not ask"),
        Opening(port=51820, protocol="udp", why="anyone"),
    ),
    service=SERVICE,
    fabric=FABRIC,
    vrrp_from=(OTHER,),
    confined=(Confined(user=USER, peers=(OTHER, FAR)),),
)


@pytest.fixture(scope="module")
def walled() -> Iterator[Walled]:
    with walled_host() as walled:
        walled.load(rules(SETTINGS))
        yield walled


@pytest.mark.parametrize(
    ("packet", "saddr", "daddr", "passes"),
    [
        (tcp(22), ADMIN, ADDRESS, True),
        (tcp(22), FAR, OWN, True),
        (tcp(22), STRANGER, ADDRESS, False),
        (tcp(23), ADMIN, ADDRESS, False),
        (udp(22), ADMIN, ADDRESS, False),
        (udp(51820), STRANGER, ADDRESS, True),
        (tcp(22), ADMIN, SERVICE, False),
        (tcp(22), FAR, FABRIC, False),
        (tcp(8100), ADMIN, SERVICE, True),
        (tcp(8102), ADMIN, SERVICE, True),
        (tcp(8103), ADMIN, SERVICE, False),
        (tcp(8100), OTHER, SERVICE, False),
        (tcp(8100), ADMIN, ADDRESS, False),
        (tcp(9100), OTHER, ADDRESS, True),
        (tcp(9100), OTHER, SERVICE, True),
        (udp(51820), FAR, FABRIC, True),
        (tcp(9100), ADMIN, ADDRESS, False),
    ],
)
def test_only_what_is_open_to_somebody_on_a_network_comes_in(
    walled: Walled, packet: Packet, saddr: str, daddr: str, *, passes: bool
) -> None:
    assert walled.passes(packet, saddr, daddr) is passes


@pytest.mark.parametrize("kind", [134, 135, 136, 137])
def test_neighbor_discovery_comes_from_neighbors_alone(walled: Walled, kind: int) -> None:
    assert walled.passes(icmpv6(kind), NEAR, LINK_LOCAL, hops=255)
    # A router on the way reduces the hop limit by one.
    assert not walled.passes(icmpv6(kind), FAR, OWN, hops=254)


@pytest.mark.parametrize("kind", [130, 131, 132, 143])
def test_questions_about_multicast_groups_come_from_neighbors_alone(walled: Walled, kind: int) -> None:
    assert walled.passes(icmpv6(kind), NEAR, LINK_LOCAL, hops=1)
    assert not walled.passes(icmpv6(kind), FAR, LINK_LOCAL, hops=1)


def test_an_echo_is_answered_and_other_questions_by_icmp_are_not(walled: Walled) -> None:
    assert walled.passes(icmp(8), STRANGER, ADDRESS)
    assert walled.passes(icmpv6(128), FAR, OWN)
    assert not walled.passes(icmp(13), STRANGER, ADDRESS)
    assert not walled.passes(icmpv6(133), NEAR, LINK_LOCAL, hops=255)


def test_what_belongs_to_no_connection_is_dropped_even_at_an_open_port(walled: Walled) -> None:
    syn_and_fin = tcp(22, flags=0x03)
    assert not walled.passes(syn_and_fin, ADMIN, ADDRESS)
    assert not walled.passes(icmp(3), STRANGER, ADDRESS)
    assert not walled.passes(icmpv6(1), FAR, OWN)


def test_answers_to_the_hosts_own_questions_come_in(walled: Walled) -> None:
    assert not walled.passes(udp(5000, sport=6000), STRANGER, ADDRESS)
    assert walled.lets_out(socket.SOCK_DGRAM, STRANGER, 6001)
    (own,) = walled.sources_of(6001)
    assert walled.passes(udp(own, sport=6001), STRANGER, ADDRESS)
    assert not walled.passes(udp(own, sport=6002), STRANGER, ADDRESS)


def test_dhcp_comes_from_a_servers_port_to_a_clients(walled: Walled) -> None:
    ways = [(67, 68), (66, 68), (67, 69)]
    passed = [way for way in ways if walled.passes(udp(way[1], sport=way[0]), "10.20.0.1", ADDRESS)]
    assert passed == [(67, 68)]


def test_dhcpv6_comes_from_a_neighbors_port_of_servers_to_a_clients(walled: Walled) -> None:
    ways = [(NEAR, 547, 546), (FAR, 547, 546), (NEAR, 548, 546), (NEAR, 547, 545)]
    passed = [way for way in ways if walled.passes(udp(way[2], sport=way[1]), way[0], LINK_LOCAL)]
    assert passed == [(NEAR, 547, 546)]


def test_the_other_gateways_say_by_vrrp_who_has_the_address(walled: Walled) -> None:
    vrrp, ospf = Packet(112, bytes(20)), Packet(89, bytes(20))
    assert walled.passes(vrrp, OTHER, ADDRESS)
    assert not walled.passes(vrrp, ADMIN, ADDRESS)
    assert not walled.passes(ospf, OTHER, ADDRESS)


def test_programs_of_the_host_reach_one_another(walled: Walled) -> None:
    def answered() -> bytes:
        with socket.socket(type=socket.SOCK_DGRAM) as asked:
            asked.bind(("127.0.0.1", 0))
            asked.settimeout(20)
            asked.sendto(b"hello", asked.getsockname())
            return asked.recv(10)

    assert within(walled.network, answered) == b"hello"


def test_what_is_for_others_passes_only_where_that_is_kept(walled: Walled) -> None:
    assert not walled.passes(tcp(80), ADMIN, BEHIND)
    assert not walled.passes(udp(51820), ADMIN, BEHIND)
    with walled_host() as router:
        router.load(rules(SETTINGS.model_copy(update={"existing": "keep"})))
        assert router.passes(tcp(80), ADMIN, BEHIND)
        assert not router.passes(tcp(80), ADMIN, ADDRESS)


def test_a_confined_engine_reaches_its_members_and_its_own_processes(walled: Walled) -> None:
    tcp_, udp_ = socket.SOCK_STREAM, socket.SOCK_DGRAM
    ways = [
        (tcp_, OTHER, 21),
        (tcp_, FAR, 7001),
        (udp_, OTHER, 7002),
        (tcp_, ADMIN, 7003),
        (tcp_, OWN, 7004),
        (tcp_, "127.0.0.1", 7005),
        (tcp_, "127.0.0.1", 1024),
        (tcp_, "127.0.0.1", 1023),
        (udp_, "127.0.0.1", 7006),
    ]
    let_out = [(address, port) for kind, address, port in ways if walled.lets_out(kind, address, port, user=USER)]
    assert let_out == [(OTHER, 21), (FAR, 7001), (OWN, 7004), ("127.0.0.1", 7005), ("127.0.0.1", 1024)]
    assert walled.lets_out(tcp_, ADMIN, 7007), "others on the host are not confined"


def test_a_confined_engine_answers_who_may_ask_it(walled: Walled) -> None:
    with walled.listening(9200, user=USER):
        assert walled.passes(tcp(9200, sport=45000), ADMIN, ADDRESS)
        assert walled.has_sent(45000)


def test_new_rules_take_the_place_of_the_old_ones() -> None:
    with walled_host() as walled:
        for port in (22, 23):
            walled.load(rules(Settings(openings=(Opening(port=port, why="only this"),))))
        assert [port for port in (22, 23) if walled.passes(tcp(port), ADMIN, ADDRESS)] == [23]


def test_an_answer_without_ports_counts_as_sent_to_none() -> None:
    with walled_host() as walled:
        walled.load(rules(SETTINGS))
        assert walled.passes(icmp(8), ADMIN, ADDRESS)
        assert walled.sent() == []


@pytest.mark.parametrize(
    ("loaded", "listing"),
    [(rules(SETTINGS), f"{LIST} {TABLE}"), (ruleset(Allowed(ip_address(ADMIN))), LISTING)],
    ids=["firewall", "isolation"],
)
def test_a_table_is_listed_as_before_when_a_package_brings_etc_protocols(loaded: str, listing: str) -> None:
    look = f"""mount -t tmpfs none /mnt
cp /etc/passwd /etc/group /etc/nsswitch.conf /mnt
mount --move /mnt /etc
nft -f -
{listing}
echo ==
printf 'tcp 6\\nvrrp 112\\n' >/etc/protocols
{listing}"""
    done = subprocess.run(["unshare", "-mn", "sh", "-ec", look], input=loaded, capture_output=True, text=True)
    before, _, after = done.stdout.partition("==\n")
    assert before, done
    assert before == after, done

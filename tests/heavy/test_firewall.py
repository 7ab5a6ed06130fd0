"""The packet filter on real hosts: what it blocks, what it allows, and how the old rules are restored."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from rackwright.lab.hosts import Lab
from rackwright.operations.facts.filters import FILTERS_COMMAND, parse_filters
from rackwright.operations.facts.listening import LISTENING_COMMAND, parse_listening
from rackwright.roles.firewall.closing import closing
from rackwright.roles.firewall.settings import Confined, Opening, Settings
from rackwright.roles.layout.settings import Settings as Layout
from rackwright.run import Outcome
from tests.lab.deployed import LabHost
from tests.lab.labs import fresh_lab

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "rackwright/operations/facts/filters.py",
    "rackwright/operations/facts/listening.py",
    "rackwright/operations/facts/nftables.py",
    "rackwright/operations/nftables.py",
    "roles/firewall",
)

_RESET = """systemctl stop rackwright-firewall-revert.timer 2>/dev/null
systemctl disable --now rackwright-firewall.service 2>/dev/null
nft delete table inet rackwright 2>/dev/null
rm -rf /etc/rackwright/firewall.nft /var/lib/rackwright/firewall.live /run/rackwright-firewall
rm -f /etc/systemd/system/rackwright-firewall.service; systemctl daemon-reload; true"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with fresh_lab("firewall", "walled", "other", "member") as lab:
        yield lab


@pytest.fixture
def walled(lab: Lab) -> Iterator[LabHost]:
    yield LabHost(lab, lab.fleet(), "walled")
    lab.exec("walled", _RESET)


@pytest.fixture
def other(lab: Lab) -> LabHost:
    return LabHost(lab, lab.fleet(), "other")


def settings(host: LabHost, *more: Opening, seconds: int = 60) -> Settings:
    ssh = Opening(port=22, sources=(host.fleet.subnet,), why="ssh from admins")
    return Settings(openings=(ssh, *more), confirm_seconds=seconds)


def pending(wanted: Settings) -> Callable[[], None]:
    def begin() -> None:
        from rackwright.roles.firewall.role import firewall
        from rackwright.roles.layout.role import layout

        layout(settings=Layout(fleet="acme", host="walled", serves=False))
        firewall(settings=wanted)

    return begin


def confirmed(wanted: Settings) -> Callable[[], None]:
    def keep() -> None:
        from rackwright.roles.firewall.role import confirm_firewall

        confirm_firewall(settings=wanted)

    return keep


def walled_in(host: LabHost, wanted: Settings) -> None:
    host.applied(pending(wanted))
    host.applied(confirmed(wanted))


def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.1)


def listens(host: LabHost, port: int) -> None:
    program = f'import socket, time; s = socket.create_server(("", {port})); time.sleep(3600)'
    host.holds(f"systemd-run --quiet --collect --unit=listener-{port} python3 -c '{program}'")
    until(lambda: host.holds(f"ss -Hltn | grep -q ':{port} '"))


def reaches(host: LabHost, to: LabHost, port: int) -> bool:
    return host.holds(f"python3 -c 'import socket; socket.create_connection((\"{to.address}\", {port}), 2)'")


def test_only_what_is_opened_is_reached_from_another_host(walled: LabHost, other: LabHost) -> None:
    listens(walled, 9000)
    listens(walled, 9001)
    assert reaches(other, walled, 9000)
    assert reaches(other, walled, 9001)
    walled_in(walled, settings(walled, Opening(port=9001, sources=(f"{other.address}/32",), why="other")))
    assert not reaches(other, walled, 9000)
    assert reaches(other, walled, 9001)


def test_a_second_run_changes_nothing(walled: LabHost) -> None:
    wanted = settings(walled)
    walled_in(walled, wanted)
    assert walled.apply(pending(wanted)).changes == 0
    assert walled.apply(confirmed(wanted)).changes == 0
    assert not walled.holds("systemctl is-active rackwright-firewall-revert.timer")


def test_tables_of_others_are_left_alone(walled: LabHost) -> None:
    walled.tell(
        "nft 'add table inet operator; add chain inet operator mine; add rule inet operator mine tcp dport 1 drop'"
    )
    before = walled.tell("nft list table inet operator")
    walled_in(walled, settings(walled))
    assert walled.tell("nft list table inet operator") == before
    walled.tell("nft delete table inet operator")


def test_without_a_confirmation_the_old_rules_come_back_by_themselves(walled: LabHost) -> None:
    old = settings(walled, Opening(port=9001, why="the old rules"))
    walled_in(walled, old)
    before = walled.tell("nft -s list table inet rackwright; cat /etc/rackwright/firewall.nft")
    shut = Settings(openings=(Opening(port=1, why="nobody gets in"),), confirm_seconds=3)
    walled.apply(pending(shut))
    assert "nobody gets in" in walled.tell("nft -s list table inet rackwright")
    until(lambda: "nobody gets in" not in walled.tell("nft -s list table inet rackwright"))
    assert walled.tell("nft -s list table inet rackwright; cat /etc/rackwright/firewall.nft") == before
    until(lambda: not walled.holds("systemctl is-active rackwright-firewall-revert.service"))
    run = walled.apply(confirmed(shut))
    assert run.steps[0].outcome is Outcome.FAILED
    assert "the old ones came back" in run.steps[0].output[0]
    assert walled.tell("nft -s list table inet rackwright; cat /etc/rackwright/firewall.nft") == before


def test_where_there_was_no_table_none_is_left(walled: LabHost) -> None:
    walled.applied(pending(settings(walled, seconds=3)))
    until(lambda: not walled.holds("nft list table inet rackwright"))
    assert not walled.holds("test -e /etc/rackwright/firewall.nft")


def test_a_pending_filter_that_is_replaced_again_reverts_to_the_confirmed_one(walled: LabHost) -> None:
    walled_in(walled, settings(walled, Opening(port=9001, why="confirmed")))
    walled.applied(pending(settings(walled, Opening(port=9002, why="never confirmed"))))
    walled.applied(pending(settings(walled, Opening(port=9003, why="the second try"), seconds=3)))
    until(lambda: "the second try" not in walled.tell("nft list table inet rackwright"))
    live = walled.tell("nft list table inet rackwright")
    assert "never confirmed" not in live
    assert '"confirmed"' in live


def test_a_change_by_hand_is_shown_and_undone(walled: LabHost) -> None:
    wanted = settings(walled)
    walled_in(walled, wanted)
    walled.tell("nft add rule inet rackwright input tcp dport 9999 accept")
    (change,) = [step for step in walled.plan(pending(wanted)).steps if step.outcome is Outcome.WOULD_CHANGE]
    assert "-\t\ttcp dport 9999 accept" in (change.diff or "")
    walled_in(walled, wanted)
    assert "9999" not in walled.tell("nft list table inet rackwright")
    assert walled.plan(pending(wanted)).changes == 0


def test_confirmed_rules_act_after_a_reboot_and_pending_ones_do_not(walled: LabHost) -> None:
    wanted = settings(walled, Opening(port=9001, why="confirmed"))
    walled_in(walled, wanted)
    walled.applied(pending(settings(walled, Opening(port=9002, why="pending"), seconds=600)))
    walled.lab.reboot("walled")
    live = walled.tell("nft list table inet rackwright")
    assert '"confirmed"' in live
    assert '"pending"' not in live


def test_restarting_debians_nftables_service_does_not_open_the_host(walled: LabHost) -> None:
    walled_in(walled, settings(walled))
    walled.tell("systemctl start nftables.service; systemctl restart nftables.service")
    until(lambda: walled.holds("nft list table inet rackwright"))
    walled.tell("systemctl restart rackwright-firewall.service; systemctl reload nftables.service")
    until(lambda: walled.holds("nft list table inet rackwright"))
    walled.tell("systemctl stop nftables.service")


def test_what_would_close_is_named_once_with_its_process(walled: LabHost) -> None:
    listens(walled, 9000)

    def judged() -> list[str]:
        sockets = parse_listening(walled.tell(LISTENING_COMMAND))
        return [
            str(found) for found in closing(sockets, parse_filters(walled.tell(FILTERS_COMMAND)), settings(walled))
        ]

    assert "tcp 9000 (python3)" in judged()
    assert not [found for found in judged() if found.startswith("tcp 22 ")]
    walled_in(walled, settings(walled))
    assert judged() == []


def test_an_active_ufw_is_seen_and_comes_back_unless_its_replacement_is_confirmed(walled: LabHost) -> None:
    walled.tell(
        "apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends ufw"
    )
    assert parse_filters(walled.tell(FILTERS_COMMAND)).active == ()
    walled.tell("ufw allow 22/tcp && ufw --force enable")
    assert parse_filters(walled.tell(FILTERS_COMMAND)).active == ("ufw",)
    replace = settings(walled, seconds=3).model_copy(update={"existing": "replace"})
    walled.applied(pending(replace))
    until(lambda: not walled.holds("nft list table inet rackwright"))
    until(lambda: "Status: active" in walled.tell("ufw status"))
    walled_in(walled, settings(walled).model_copy(update={"existing": "replace"}))
    assert walled.tell("ufw status; systemctl is-enabled ufw || true") == "Status: inactive\ndisabled"
    assert walled.plan(pending(replace)).changes == 0
    assert walled.plan(confirmed(replace)).changes == 0
    walled.tell("ufw --force reset; apt-get -q -y purge ufw")


def reaches_at(host: LabHost, address: str, port: int, user: str = "root") -> bool:
    connect = f'import socket; socket.create_connection(("{address}", {port}), 2)'
    return host.holds(f"runuser -u {user} -- python3 -c '{connect}'")


@pytest.fixture
def networks(walled: LabHost) -> Iterator[tuple[str, str]]:
    """More addresses of the filtered host: one for clients, one for members."""
    service, fabric = str(walled.fleet.subnet[201]), str(walled.fleet.subnet[202])
    walled.tell(f"ip addr add {service}/32 dev eth0; ip addr add {fabric}/32 dev eth0")
    yield service, fabric
    walled.tell(f"ip addr del {service}/32 dev eth0; ip addr del {fabric}/32 dev eth0")


def test_ssh_is_shut_in_the_networks_of_clients_and_members(
    walled: LabHost, other: LabHost, networks: tuple[str, str]
) -> None:
    service, fabric = networks
    listens(walled, 9000)
    assert all(reaches_at(other, address, 22) for address in (walled.address, service, fabric))
    admins = Opening(port=22, sources=(walled.fleet.subnet,), at="address", why="ssh from admins")
    clients = Opening(port=9000, sources=(f"{other.address}/32",), at="service", why="clients")
    walled_in(walled, Settings(openings=(admins, clients), service=service, fabric=fabric))
    ways = [(address, port) for address in (walled.address, service, fabric) for port in (22, 9000)]
    assert [way for way in ways if reaches_at(other, *way)] == [(walled.address, 22), (service, 9000)]


def test_what_is_for_others_is_not_passed_on(walled: LabHost, other: LabHost) -> None:
    """A third machine, in a network namespace behind the filtered host, listens; the other host has a route to it."""
    walled.tell(
        "ip netns add behind; ip link add inner type veth peer name outer; ip link set outer netns behind; "
        "ip addr add 10.50.77.1/30 dev inner; ip link set inner up; "
        "ip -n behind addr add 10.50.77.2/30 dev outer; ip -n behind link set outer up; "
        "ip -n behind route add default via 10.50.77.1; echo 1 >/proc/sys/net/ipv4/ip_forward"
    )
    serve = 'import socket, time; s = socket.create_server(("", 9000)); time.sleep(3600)'
    walled.tell(f"systemd-run --quiet --collect --unit=behind ip netns exec behind python3 -c '{serve}'")
    other.tell(f"ip route add 10.50.77.0/30 via {walled.address}")
    until(lambda: reaches_at(other, "10.50.77.2", 9000))
    found = parse_filters(walled.tell(FILTERS_COMMAND)).active
    walled_in(walled, settings(walled))
    shut = reaches_at(other, "10.50.77.2", 9000)
    walled_in(walled, settings(walled).model_copy(update={"existing": "keep"}))
    kept = reaches_at(other, "10.50.77.2", 9000)
    other.tell("ip route del 10.50.77.0/30")
    walled.tell("systemctl stop behind.service; ip netns del behind")
    assert "packet forwarding" in found
    assert not shut
    assert kept


def test_an_engine_with_a_network_reaches_its_members_only_shown_from_inside(walled: LabHost, other: LabHost) -> None:
    member = walled.lab.fleet().hosts["member"]
    wanted = settings(walled).model_copy(update={"confined": (Confined(user="rw-big", peers=(member,)),)})
    walled_in(walled, wanted)
    listens(walled, 9000)
    ways = [("127.0.0.1", 9000), (member, 22), (other.address, 22), (walled.fleet.controller, 22)]
    assert [way for way in ways if reaches_at(walled, *way, user="rw-big")] == ways[:2]
    assert reaches_at(walled, other.address, 22), "others on the host are not confined"
    ask = f'import socket; socket.socket(2, 2).sendto(b"x", ("{member}", 53))'
    assert walled.holds(f"python3 -c '{ask}'")
    assert not walled.holds(f"runuser -u rw-big -- python3 -c '{ask}'"), "a name could be told to a member's resolver"
    assert walled.apply(pending(wanted)).changes == 0
    walled.lab.reboot("walled")
    assert [way for way in ways[1:] if reaches_at(walled, *way, user="rw-big")] == ways[1:2]

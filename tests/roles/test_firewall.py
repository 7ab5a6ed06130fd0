from __future__ import annotations

import hashlib
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from rackwright.operations.facts.filters import FORWARDING, Filters
from rackwright.operations.facts.listening import Socket
from rackwright.operations.facts.nftables import Filter, FilterState
from rackwright.operations.facts.packages import InstalledPackages
from rackwright.operations.facts.path_state import Found, PathState
from rackwright.operations.facts.unit import OurUnitStates, Unit
from rackwright.roles.firewall import role
from rackwright.roles.firewall.closing import closing, locks_out, refusals
from rackwright.roles.firewall.role import BOOT_FILE, confirm_firewall, firewall
from rackwright.roles.firewall.rules import rules
from rackwright.roles.firewall.settings import UNIT, Confined, Opening, Settings
from tests.fakes import play

_SETTINGS = Settings(
    openings=(
        Opening(port=22, sources=("10.20.0.0/24",), why="ssh from admins"),
        Opening(port=443, sources=("10.0.0.0/8", "fd00::/8"), why="clients"),
    )
)
_RULES = rules(_SETTINGS)
_SHA256 = hashlib.sha256(_RULES.encode()).hexdigest()
_ACTING = Filter(listed="table\n", loaded=_SHA256, remembered="table\n")


def opened(*openings: Opening) -> list[str]:
    """The lines that the openings add to the rules."""
    bare = rules(Settings(openings=())).splitlines()
    return [line.strip() for line in rules(Settings(openings=openings)).splitlines() if line not in bare]


def text_file(text: str) -> Found:
    return Found("regular file", 0o644, "root", "root", hashlib.sha256(text.encode()).hexdigest(), text.encode())


def facts(state: Filter, boot: str | None = None) -> Mapping[object, object]:
    unit = (Path(role.__file__).parent / "templates" / UNIT).read_text()
    return {
        InstalledPackages: frozenset({"nftables"}),
        FilterState: state,
        (PathState, BOOT_FILE): text_file(boot) if boot is not None else None,
        (PathState, f"/etc/systemd/system/{UNIT}"): text_file(unit),
        OurUnitStates: {UNIT: Unit("loaded", "active", "enabled")},
    }


def test_all_is_dropped_but_what_a_network_cannot_live_without() -> None:
    assert "policy drop;" in _RULES
    bare = rules(Settings(openings=()))
    for needed in (
        'iif "lo"',
        "established,related",
        "nd-neighbor-solicit",
        "packet-too-big",
        "dport 68",
        "dport 546",
    ):
        assert needed in bare
    assert "tcp" not in bare


def test_only_our_table_is_replaced() -> None:
    assert "flush" not in _RULES
    assert "delete table inet rackwright\n" in _RULES
    assert _RULES.count("table ") == _RULES.count("table inet rackwright") + _RULES.count(
        "table lets"
    ) + _RULES.count("table is")


def test_at_boot_the_rules_come_before_the_network_and_after_debians_own_and_follow_these() -> None:
    unit = (Path(role.__file__).parent / "templates" / UNIT).read_text()
    said = dict(line.split("=", 1) for line in unit.splitlines() if "=" in line and not line.startswith("#"))
    load = "/usr/sbin/nft -f /etc/rackwright/firewall.nft"
    wanted = {
        "DefaultDependencies": "no",
        "Wants": "network-pre.target",
        "Before": "network-pre.target shutdown.target",
        "Conflicts": "shutdown.target",
        "After": "local-fs.target nftables.service",
        "PartOf": "nftables.service",
        "ReloadPropagatedFrom": "nftables.service",
        "Type": "oneshot",
        # If inactive, it wouldn't follow.
        "RemainAfterExit": "yes",
        "ExecStart": load,
        "ExecReload": load,
        "WantedBy": "sysinit.target",
    }
    assert {name: said.get(name) for name in wanted} == wanted


def test_each_opening_names_its_sources_and_its_reason() -> None:
    assert opened(Opening(port=443, sources=("10.0.0.0/8", "fd00::/8"), why="clients")) == [
        'ip saddr { 10.0.0.0/8 } tcp dport 443 accept comment "clients"',
        'ip6 saddr { fd00::/8 } tcp dport 443 accept comment "clients"',
    ]
    assert opened(Opening(port=51820, protocol="udp", why="anyone")) == ['udp dport 51820 accept comment "anyone"']


def test_networks_within_one_another_are_merged_as_nft_refuses_them() -> None:
    (line,) = opened(Opening(port=22, sources=("10.1.0.0/16", "10.0.0.0/8", "10.9.9.9/32"), why="ssh"))
    assert line.startswith("ip saddr { 10.0.0.0/8 } tcp")


def test_all_of_one_family_is_a_family_and_no_set() -> None:
    assert opened(Opening(port=443, sources=("0.0.0.0/0", "::/0"), why="all")) == [
        'meta nfproto ipv4 tcp dport 443 accept comment "all"',
        'meta nfproto ipv6 tcp dport 443 accept comment "all"',
    ]


def test_a_reason_cannot_end_its_comment_or_grow_too_long() -> None:
    (line,) = opened(Opening(port=1, why='x" accept; \\ $(reboot) é'))
    assert line == 'tcp dport 1 accept comment "x_ accept; _ _(reboot) _"'
    (line,) = opened(Opening(port=1, why="y" * 500))
    assert len(line.partition('"')[2]) <= 128


def test_new_rules_are_loaded_after_the_timer_that_reverts_them_is_armed() -> None:
    played = play(firewall, settings=_SETTINGS, facts=facts(Filter()))
    assert played.uploads == {"/run/rackwright-firewall/new": _RULES}
    script = played.commands[-1]
    order = [
        "nft -c -f",
        "before.nft",
        "systemd-run --quiet --collect --unit=rackwright-firewall-revert --on-active=60",
        "nft -f /run/rackwright-firewall/new",
        "firewall.live",
    ]
    places = [script.rindex(step) for step in order]
    assert places == sorted(places)
    assert played.diffs["Load the packet filter, until confirmed"].startswith(f"--- /dev/null\n+++ {BOOT_FILE}")
    assert "ufw" not in script


def test_rules_that_act_already_are_left_alone() -> None:
    assert play(firewall, settings=_SETTINGS, facts=facts(_ACTING, _RULES)).commands == []
    assert play(confirm_firewall, settings=_SETTINGS, facts=facts(_ACTING, _RULES)).commands == []


@pytest.mark.parametrize(
    ("state", "diff"),
    [
        (Filter(None, _SHA256, "table\n"), "table inet rackwright is missing and is loaded again"),
        (Filter("table\nmore\n", _SHA256, "table\n"), "-more"),
        (Filter("table\n"), "-table"),
    ],
)
def test_a_table_that_someone_touched_is_loaded_again(state: Filter, diff: str) -> None:
    played = play(firewall, settings=_SETTINGS, facts=facts(state, _RULES))
    assert played.uploads
    assert played.diffs["Load the packet filter, until confirmed"].endswith(diff)


def test_confirming_stops_the_timer_before_it_writes_the_boot_file() -> None:
    pending = Filter("table\n", _SHA256, "table\n", pending=True)
    played = play(confirm_firewall, settings=_SETTINGS, facts=facts(pending, "old rules\n"))
    assert "systemctl stop rackwright-firewall-revert.timer" in played.commands[0]
    assert played.uploads == {f"{BOOT_FILE}.rackwright-new": _RULES}
    assert "nft -c -f" in played.commands[2]


def test_replaced_filters_stop_with_the_new_rules_and_are_disabled_when_confirmed() -> None:
    replace = _SETTINGS.model_copy(update={"existing": "replace"})
    found = Filter("table\n", _SHA256, "table\n", active=("ufw",), enabled=("ufw", "firewalld"))
    assert "for u in ufw firewalld" in play(firewall, settings=replace, facts=facts(found, _RULES)).commands[-1]
    confirmed = play(confirm_firewall, settings=replace, facts=facts(found, _RULES)).commands
    assert confirmed == [
        "ufw --force disable && systemctl --quiet disable --now ufw",
        "systemctl --quiet disable --now firewalld",
    ]


def test_kept_filters_are_not_touched() -> None:
    keep = _SETTINGS.model_copy(update={"existing": "keep"})
    kept = rules(keep)
    found = Filter("table\n", hashlib.sha256(kept.encode()).hexdigest(), "table\n", active=("ufw",), enabled=("ufw",))
    assert play(firewall, settings=keep, facts=facts(found, kept)).commands == []
    assert play(confirm_firewall, settings=keep, facts=facts(found, kept)).commands == []


_SOCKETS = (
    Socket("tcp", "0.0.0.0", 22, "sshd", 1),
    Socket("tcp", "0.0.0.0", 9100, "node_exporter", 2),
    Socket("tcp", "::", 9100, "node_exporter", 2),
    Socket("tcp", "127.0.0.1", 5432, "postgres", 3),
    Socket("tcp", "::1", 5432, "postgres", 3),
    Socket("udp", "0.0.0.0", 68, "dhclient", 4),
    Socket("udp", "0.0.0.0", 443, "quic", 5),
    Socket("tcp", "*", 2049),
)


def test_what_others_reach_now_and_would_not_any_more_is_named_with_its_process() -> None:
    named = [str(found) for found in closing(_SOCKETS, Filters(), _SETTINGS)]
    assert named == ["tcp 2049 (the kernel)", "tcp 9100 (node_exporter)", "udp 443 (quic)"]
    assert closing(_SOCKETS, Filters(), _SETTINGS)[1].addresses == ("0.0.0.0", "::")


def test_what_our_rules_keep_shut_already_does_not_close_again() -> None:
    admitted = frozenset({("tcp", 22), ("tcp", 9100)})
    assert [found.port for found in closing(_SOCKETS, Filters(admitted=admitted), _SETTINGS)] == [9100]
    assert closing(_SOCKETS, Filters(admitted=frozenset()), _SETTINGS) == ()


def test_a_filter_of_others_is_refused_until_the_fleet_file_decides() -> None:
    found = Filters(active=("Docker", FORWARDING, "ufw"))
    assert [str(problem) for problem in refusals(found, _SETTINGS)] == [
        "firewall: Docker is active on this host; set `firewall: {existing: replace}` to apply rackwright's rules "
        "in addition to those of Docker, and drop the packets that it forwards, "
        "or `existing: keep` to leave it\n  next: rackwright plan",
        "firewall: packet forwarding is active on this host; set `firewall: {existing: replace}` to drop forwarded "
        "packets, or `existing: keep` to leave it\n  next: rackwright plan",
        "firewall: ufw is active on this host; set `firewall: {existing: replace}` to stop ufw, "
        "or `existing: keep` to leave it\n  next: rackwright plan",
    ]
    assert refusals(Filters(), _SETTINGS) == ()
    assert refusals(found, _SETTINGS.model_copy(update={"existing": "keep"})) == ()


@pytest.mark.parametrize("address", ["10.20.0.7", "::ffff:10.20.0.7", "127.0.0.1", "::1"])
def test_who_is_among_the_admins_is_not_locked_out(address: str) -> None:
    assert locks_out(_SETTINGS, address, "10.20.0.11") is None


@pytest.mark.parametrize("address", ["10.21.0.7", "fd00::7", "fe80::1%eth0"])
def test_who_is_not_would_be_locked_out(address: str) -> None:
    problem = locks_out(_SETTINGS, address, "10.20.0.11")
    assert problem is not None
    assert problem.where == "firewall.admin_from"


def test_another_ssh_port_must_be_open_too() -> None:
    moved = _SETTINGS.model_copy(update={"ssh_port": 2222})
    assert locks_out(moved, "10.20.0.7", "10.20.0.11") is not None
    anyone = Settings(openings=(Opening(port=2222, why="ssh"),), ssh_port=2222)
    assert locks_out(anyone, "192.0.2.1", "10.20.0.11") is None
    assert ip_network("10.20.0.0/24") in _SETTINGS.openings[0].sources


_APART = Settings(
    openings=(
        Opening(port=22, sources=("10.20.0.0/24",), at="address", why="ssh from admins"),
        Opening(port=8100, sources=("10.30.0.10",), at="service", why="gateways"),
        Opening(port=9100, sources=("10.20.0.30",), why="monitoring"),
    ),
    service="10.30.0.11",
    fabric="fd40::11",
)


def chain(settings: Settings, name: str) -> str:
    """The text of one chain of the rules."""
    return rules(settings).partition(f"chain {name} {{")[2].partition("\n\t}\n")[0]


def open_in(settings: Settings, name: str) -> list[int]:
    return [opening.port for opening in _APART.openings if f"dport {opening.port} " in chain(settings, name)]


def test_each_network_has_what_is_open_there_and_nothing_else() -> None:
    assert open_in(_APART, "input") == [22, 9100]
    assert open_in(_APART, "service") == [8100, 9100]
    assert open_in(_APART, "fabric") == [9100]
    assert "ip daddr { 10.30.0.11/32 } goto service" in chain(_APART, "input")
    assert "ip6 daddr { fd40::11/128 } goto fabric" in chain(_APART, "input")


def test_a_network_that_is_not_apart_is_that_of_the_address() -> None:
    together = _APART.model_copy(update={"service": None, "fabric": None})
    assert "goto" not in rules(together)
    assert open_in(together, "input") == [22, 8100, 9100]


def test_a_virtual_address_is_of_the_service_network_wherever_that_is() -> None:
    together = _APART.model_copy(update={"service": None, "fabric": None, "vip": ip_address("10.20.0.9")})
    assert "ip daddr { 10.20.0.9/32 } goto service" in chain(together, "input")
    assert open_in(together, "input") == [22, 8100, 9100]
    assert open_in(together, "service") == [8100, 9100]


def test_other_gateways_may_say_who_has_the_virtual_address() -> None:
    vrrp = Settings(openings=(), vrrp_from=("10.20.0.10",))
    assert 'ip saddr { 10.20.0.10/32 } meta l4proto 112 accept comment "VRRP"' in chain(vrrp, "input")


def test_nothing_is_forwarded_unless_it_is_kept() -> None:
    assert "hook forward priority filter; policy drop;" in chain(_SETTINGS, "forward")
    assert not chain(_SETTINGS.model_copy(update={"existing": "keep"}), "forward")


_CONFINED = Settings(openings=(), confined=(Confined(user="rw-big", peers=("10.40.0.12", "fd40::12")),))


def test_an_engine_with_a_network_reaches_its_members_only() -> None:
    lines = [line.strip() for line in chain(_CONFINED, "output").splitlines() if "skuid" in line]
    assert lines == [
        'meta skuid "rw-big" oif "lo" tcp dport 1024-65535 accept',
        'meta skuid "rw-big" ip daddr { 10.40.0.12/32 } meta l4proto tcp accept',
        'meta skuid "rw-big" ip6 daddr { fd40::12/128 } meta l4proto tcp accept',
        'meta skuid "rw-big" reject comment "reaches its members only"',
    ]
    assert not chain(_SETTINGS, "output")


def test_its_user_is_there_before_the_rules_name_it() -> None:
    played = play(firewall, settings=_CONFINED, facts=facts(Filter()))
    assert "useradd" in played.commands[0]
    assert "rw-big" in played.commands[0]


def test_who_comes_by_the_service_address_is_told_before_ssh_shuts_there() -> None:
    assert locks_out(_APART, "10.20.0.7", "10.20.0.11") is None
    problem = locks_out(_APART, "10.20.0.7", "::ffff:10.30.0.11")
    assert problem is not None
    assert problem.where == "firewall.admin_at"
    stranger = locks_out(_APART, "10.99.0.7", "10.30.0.11")
    assert stranger is not None
    assert stranger.where == "firewall.admin_from"


def test_a_range_of_ports_is_one_rule_and_each_of_them_is_open() -> None:
    opening = Opening(port=32768, last=60999, sources=("10.40.0.1/32",), at="fabric", why="members")
    assert opened(opening.model_copy(update={"at": None})) == [
        'ip saddr { 10.40.0.1/32 } tcp dport 32768-60999 accept comment "members"'
    ]
    assert [port in opening.ports for port in (32767, 32768, 60999, 61000)] == [False, True, True, False]
    assert list(Opening(port=22, why="x").ports) == [22]


def test_what_listens_within_a_range_that_opens_does_not_close() -> None:
    settings = Settings(openings=(Opening(port=40000, last=40002, why="members"),))
    sockets = tuple(Socket("tcp", "0.0.0.0", port, "x", port) for port in (40001, 40003))
    assert [found for found in (40001, 40003) if str(found) in str(closing(sockets, Filters(()), settings))] == [
        40003
    ]

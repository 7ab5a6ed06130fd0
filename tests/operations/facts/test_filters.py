from __future__ import annotations

import pytest

from rackwright.operations.facts.filters import FORWARDING, Filters, parse_filters


@pytest.mark.parametrize(
    ("printed", "active"),
    [
        ("", ()),
        ("chain input\nchain POSTROUTING\n", ()),
        ("unit ufw\n", ("ufw",)),
        ("unit firewalld\nchain filter_INPUT\n", ("firewalld",)),
        ("chain DOCKER\nchain DOCKER-USER\n", ("Docker",)),
        ("unit k3s\n", ("Kubernetes",)),
        ("network eth0\n", ()),
        ("network eth0\nnetwork eth1\n", (FORWARDING,)),
        ("unit docker\nunit kubelet\nchain KUBE-SERVICES\nchain ufw-user-input\n", ("Docker", "Kubernetes", "ufw")),
    ],
)
def test_who_filters_is_known_by_units_and_chains(printed: str, active: tuple[str, ...]) -> None:
    assert parse_filters(printed) == Filters(active)


def test_what_our_table_admits_is_read_from_its_listing() -> None:
    printed = (
        "table inet rackwright {\n"
        '\t\tudp sport 67 udp dport 68 accept comment "DHCP"\n'
        '\t\tip saddr 10.0.0.0/8 tcp dport 22 accept comment "tcp dport 9 in words"\n'
        '\t\tmeta skuid 990 oif "lo" tcp dport 1024-65535 accept\n'
    )
    assert parse_filters(printed).admitted == {("udp", 68), ("tcp", 22)}


def test_a_range_is_each_of_its_ports_and_what_a_user_may_send_is_none() -> None:
    printed = (
        "table inet rackwright {\n"
        '\t\tip saddr 10.40.0.1 tcp dport 40000-40002 accept comment "members"\n'
        '\t\tmeta skuid "rw-a" oif "lo" tcp dport 8100 accept\n'
    )
    assert parse_filters(printed).admitted == {("tcp", port) for port in (40000, 40001, 40002)}


def test_without_our_table_nothing_is_known_to_be_shut() -> None:
    assert parse_filters("chain input\n").admitted is None

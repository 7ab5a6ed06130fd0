from __future__ import annotations

import pytest

from rackwright.lifecycle.verify.port_scan import admits, forwarded
from rackwright.lifecycle.verify.ports import OpenPort
from rackwright.roles.firewall.settings import Opening, Settings


def test_ports_that_rules_lead_elsewhere_are_known() -> None:
    printed = (
        "ip daddr 10.0.0.1 tcp dport 8080 counter dnat to 172.17.0.2:80\n"
        "tcp dport { 81, 90-92 } redirect to :3128\n"
        "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 5000 -j DNAT --to-destination 172.17.0.3:5000\n"
        "tcp dport 22 accept\n"
    )
    assert sorted(forwarded(printed)) == [81, 90, 92, 5000, 8080]


_SETTINGS = Settings(
    openings=(
        Opening(port=22, sources=("10.20.0.0/24",), at="address", why="ssh"),
        Opening(port=8100, sources=("10.30.0.10",), at="service", why="gateways"),
        Opening(port=9100, why="all"),
        Opening(port=53, protocol="udp", why="names"),
        Opening(port=40000, last=40002, sources=("10.40.0.12",), at="fabric", why="members"),
    ),
    service="10.30.0.11",
    fabric="10.40.0.11",
)


@pytest.mark.parametrize(
    ("port", "source", "admitted_at"),
    [
        (22, "10.20.0.7", ["address"]),
        (22, "10.30.0.10", []),
        (8100, "10.30.0.10", ["service"]),
        (8100, "10.20.0.7", []),
        (9100, "fd00::1", ["address", "service", "fabric"]),
        (53, "10.20.0.7", []),
        (40001, "10.40.0.12", ["fabric"]),
        (40001, "10.40.0.13", []),
        (40003, "10.40.0.12", []),
    ],
)
def test_what_the_fleet_file_opens_depends_on_network_and_source(
    port: int, source: str, admitted_at: list[str]
) -> None:
    found = OpenPort("any", port, source)
    assert [at for at in ("address", "service", "fabric") if admits(_SETTINGS, at, found)] == admitted_at

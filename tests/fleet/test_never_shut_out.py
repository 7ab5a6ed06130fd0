"""The addresses that fail2ban must never ban."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.fleet.hosts.compose import host_specs
from tests.fleet.fleets import make_fleet
from tests.fleet.test_gateways import HOSTS, LOCK

FLEET = ["10.0.0.10/32", "10.0.0.8/32", "10.0.0.9/32", "10.1.0.8/32", "10.1.0.9/32"]
"""Every address of the hosts in service."""


@pytest.mark.parametrize(
    ("fail2ban", "named"),
    [({}, ["10.0.0.0/8"]), ({"ignoreip": ["10.0.9.5"]}, ["10.0.9.5/32"]), ({"ignoreip": []}, [])],
)
def test_the_fleet_never_is_nor_whom_the_fleet_file_names(fail2ban: dict[str, object], named: list[str]) -> None:
    hosts = {name: {**host, "baseline": {"fail2ban": fail2ban}} for name, host in HOSTS.items()}
    fleet = make_fleet(Path("site.yml"), hosts=hosts, gateway={"on": ["gate1"], "domain": "llm.acme.internal"})
    found = host_specs(fleet, LOCK)["gpu1"].never_shut_out
    assert [str(network) for network in found] == [*named, *FLEET]

from __future__ import annotations

from ipaddress import ip_address

import pytest

from rackwright.operations.facts.interface import InterfaceOf
from rackwright.operations.facts.packages import InstalledPackages
from rackwright.roles.vip.configuration import keepalived_conf
from rackwright.roles.vip.role import vip
from rackwright.roles.vip.settings import Settings
from tests.fakes import play

_SETTINGS = Settings(host="gate1", address="10.30.0.9", own="10.30.0.10", peers=("10.30.0.20",), priority=200)


def test_the_address_goes_to_the_interface_of_the_hosts_own() -> None:
    played = play(vip, settings=_SETTINGS, facts={InterfaceOf: "bond0.30"})
    conf = played.uploads["/etc/rackwright/vip/keepalived.conf.rackwright-new"]
    assert conf == keepalived_conf(_SETTINGS, "bond0.30")
    assert "10.30.0.9/32 dev bond0.30" in conf
    assert "    unicast_peer {\n        10.30.0.20\n    }" in conf


def test_the_only_gateway_names_no_peer() -> None:
    conf = keepalived_conf(_SETTINGS.model_copy(update={"peers": ()}), "eth0")
    assert "unicast_" not in conf
    assert "mcast_src_ip 10.30.0.10" in conf


def test_an_address_without_an_interface_fails_in_words() -> None:
    with pytest.raises(Exception, match=r"no interface has 10\.30\.0\.10"):
        play(vip, settings=_SETTINGS, facts={InterfaceOf: ""})


def test_debians_own_keepalived_is_not_started() -> None:
    played = play(vip, settings=_SETTINGS, facts={InterfaceOf: "eth0", InstalledPackages: frozenset()})
    assert "mask --runtime -- keepalived.service" in played.commands[0]


@pytest.mark.parametrize("address", ["10.30.0.9", "0.0.0.255", "fd00::ff"])
def test_the_routers_number_is_one_that_vrrp_has(address: str) -> None:
    settings = _SETTINGS.model_copy(update={"address": ip_address(address)})
    assert 1 <= settings.router_id <= 255

from ipaddress import IPv4Network

import pytest

from rackwright.errors import RackwrightError
from rackwright.lab.network import choose_subnet, default_interface, routed_networks

ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""


def test_a_name_always_gets_the_same_subnet_while_it_is_free() -> None:
    first = choose_subnet("lab", [])
    assert first == choose_subnet("lab", [])
    assert first.subnet_of(IPv4Network("10.213.0.0/16"))


def test_a_taken_subnet_gives_the_next_free_one() -> None:
    first = choose_subnet("lab", [])
    second = choose_subnet("lab", [first])
    assert int(second.network_address) - int(first.network_address) in (256, -255 * 256)


def test_a_larger_network_around_them_leaves_none() -> None:
    with pytest.raises(RackwrightError, match=r"all of 10\.213\.0\.0/16 is taken"):
        choose_subnet("lab", [IPv4Network("10.0.0.0/8")])


def test_reads_the_kernels_routes() -> None:
    assert default_interface(ROUTES) == "eth0"
    assert routed_networks(ROUTES) == [IPv4Network("192.0.2.0/24")]


def test_a_machine_without_a_way_out_has_no_default_interface() -> None:
    assert default_interface(ROUTES.replace("00000000\t010200C0", "000A0A0A\t010200C0")) is None

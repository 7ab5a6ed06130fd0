from __future__ import annotations

from rackwright.gateway.clouds import CloudState, parse_clouds

SAID = """1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight
3 cloud.acme 1 address1.443 203.0.113.1 2 4 1
3 cloud.acme 2 address2.443 203.0.113.2 0 4 1
3 cloud.acme 3 address3.443 192.0.2.1 0 5 1
4 cloud.other 1 address1.443 192.0.2.1 0 5 1
5 cloud.proxied 1 proxy.443 - 2 0 1
6 model.tiny 1 gpu1.tiny.1.8100 10.0.0.10 2 0 1
"""


def test_a_cloud_is_reached_if_one_of_its_addresses_is_up() -> None:
    found = parse_clouds(SAID)
    assert found == {"acme": CloudState(1, 2), "other": CloudState(0, 0), "proxied": CloudState(1, 1)}
    assert [one.reached for one in found.values()] == [True, False, True]
    assert (found["acme"].text, found["other"].text) == ("1 of 2 addresses up", "its name has no address here")

"""Weights through libtorrent: hosts that die, are killed or come late."""

from __future__ import annotations

import subprocess

import pytest

from tests.roles.p2p_hosts import MEGABYTE, PORT, Chain, Make
from tests.waiting import wait_until

pytest.importorskip("libtorrent")


@pytest.mark.parametrize("again", ["by itself", "in another p2p"])
def test_one_that_was_killed_goes_on_from_what_it_had(chain: Make, again: str) -> None:
    hosts = chain(30 * MEGABYTE, rate=6 * MEGABYTE)
    hosts.start(1)
    wait_until(lambda: hosts.status(1)["bytes"] > 20 * MEGABYTE)
    hosts.kill(1)
    (hosts.run_folder(1) / "status.json").unlink()
    if again == "in another p2p":
        hosts.kill(0)
        (hosts.run_folder(0) / "torrent").unlink()
        hosts.name = "p2p-0011223344556677-other"
        hosts.start(0)
        wait_until(hosts.made)
    hosts.start(1)
    wait_until(lambda: hosts.status(1)["bytes"] > 0)
    # More than a second's worth of data was there. What arrived in the last moments may not have been kept.
    assert hosts.status(1)["bytes"] > 9 * MEGABYTE
    wait_until(lambda: hosts.state(1) == "done")
    assert hosts.whole(1)


def test_a_host_that_dies_does_not_cut_the_chain(chain: Make) -> None:
    hosts = chain(14 * MEGABYTE, rate=6 * MEGABYTE)
    hosts.start(1)
    hosts.start(2)
    wait_until(lambda: hosts.status(2)["bytes"] > 4 * MEGABYTE)
    hosts.kill(1)
    wait_until(lambda: hosts.state(2) == "done")
    assert hosts.whole(2)


def asks(hosts: Chain, number: int) -> set[int]:
    """Return the hosts that it is connected to at their port."""
    told = subprocess.run(["ss", "-Htn", "state", "established"], capture_output=True, text=True, check=True).stdout
    pairs = [line.split()[-2:] for line in told.splitlines()]
    ours = hosts.address(number)
    return {
        other
        for other in range(5)
        if any(f"{ours}:" in here and there == f"{hosts.address(other)}:{PORT}" for here, there in pairs)
    }


def test_a_host_that_had_to_ask_an_earlier_one_stops_asking_it_when_the_nearest_is_back(chain: Make) -> None:
    """Otherwise all would share the first host's line until the end."""
    hosts = chain(60 * MEGABYTE, rate=4 * MEGABYTE)
    hosts.start(2)
    wait_until(lambda: asks(hosts, 2) == {0})
    hosts.start(1)
    # Whether that lasts depends on the machine: an earlier host is asked again while the nearest falls behind.
    wait_until(lambda: asks(hosts, 2) == {1})
    assert hosts.state(2) != "done"

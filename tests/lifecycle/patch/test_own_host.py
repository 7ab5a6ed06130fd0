"""Which host of the fleet a run works on, and that it changes last."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.load import load_fleet
from rackwright.lifecycle.client.origin import own_address
from rackwright.lifecycle.patch.own_host import own_host
from rackwright.lifecycle.patch.schedule import in_order
from tests.fleet.test_unattended import WHOLE

ADDRESS = "10.0.0.13"
"""Of ctl1."""


def fleet(folder: Path, address: str = ADDRESS) -> Fleet:
    text = WHOLE.replace(ADDRESS, address).replace("admin_from: [", f"admin_from: [{address}/32, ")
    (folder / "fleet.yml").write_text(text)
    return load_fleet(folder / "fleet.yml")


def test_it_is_the_host_with_the_tool_whose_address_is_here(tmp_path: Path) -> None:
    assert own_host(fleet(tmp_path), lambda _: ADDRESS) == "ctl1"
    assert own_host(fleet(tmp_path), lambda _: "192.0.2.7") is None
    assert own_host(fleet(tmp_path), lambda _: None) is None
    # gpu1's address is here, but it hasn't the tool.
    assert own_host(fleet(tmp_path), lambda towards: "10.0.0.11" if towards == "10.0.0.11" else None) is None


def test_every_machine_has_the_loopback_address(tmp_path: Path) -> None:
    assert own_host(fleet(tmp_path, "127.0.0.1")) is None


def test_the_kernel_says_which_addresses_are_here(tmp_path: Path) -> None:
    here = own_address("192.0.2.1")
    if here is None:
        pytest.skip("this machine has no route")
    assert own_host(fleet(tmp_path, here)) == "ctl1"


def test_its_own_host_changes_after_all_others(tmp_path: Path) -> None:
    found = fleet(tmp_path)
    assert in_order(found, found.hosts)[-1] == "ctl1"
    assert in_order(found, found.hosts, "gpu1")[-2:] == ("ctl1", "gpu1")

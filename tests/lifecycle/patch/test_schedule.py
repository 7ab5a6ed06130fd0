"""The order of a run, and how long it takes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from rackwright.lifecycle.patch.schedule import in_order, schedule
from tests.fleet.fleets import make_fleet

NOW = datetime(2026, 11, 29, 1, 0, tzinfo=UTC)


def test_gateways_come_after_serving_hosts_and_the_first_control_host_last(tmp_path: Path) -> None:
    gateway = {"on": ["gpu1", "gate1"], "domain": "llm.acme.internal"}
    fleet = make_fleet(tmp_path / "site.yml", replicas={"gpu1": [], "gpu2": ["assistant@1"]}, gateway=gateway)
    assert fleet.control[:1] == ("gpu1",)
    assert in_order(fleet, fleet.hosts) == ("gpu2", "gate1", "gpu1")
    assert in_order(fleet, ("gpu1", "gpu2")) == ("gpu2", "gpu1")


@pytest.mark.parametrize(("at_once", "seconds"), [(1, 60), (2, 40)])
def test_the_canary_goes_alone_and_then_as_many_as_may(tmp_path: Path, at_once: int, seconds: int) -> None:
    fleet = make_fleet(tmp_path / "site.yml", patch={"max_unavailable": at_once})
    found = schedule(fleet, ("a", "b", "c"), NOW, UTC, {"a": 10, "b": 20, "c": 30})
    assert (found.seconds, found.fits) == (seconds, True)


def test_without_a_window_any_time_will_do_and_in_an_endless_freeze_none(tmp_path: Path) -> None:
    assert schedule(make_fleet(tmp_path / "site.yml"), ("a",), NOW, UTC, {}).fits is True
    frozen = make_fleet(tmp_path / "site.yml", patch={"except": ["2026-01-01/2029-01-01"]})
    assert schedule(frozen, ("a",), NOW, UTC, {}).fits is False

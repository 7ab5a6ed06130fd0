"""Records of the control host that can't be read: whom they stop."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rackwright.errors import HostError, LeasedError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.targets import targets
from rackwright.lifecycle.session.control_host import ask_control_hosts, refuse_moved, unmoved
from rackwright.remote import Completed, Remote
from rackwright.state.control import ControlRecord
from rackwright.values.targets import Target
from tests.fleet.fleets import make_fleet
from tests.lifecycle.hostile import Transport

DAMAGED = '{"format": "control-host/1", "host": "gpu1", "number": 3'


def asked(folder: Path, damaged: str) -> dict[str, object]:
    """Ask a fleet in which this host's record is damaged and no other host has one."""
    fleet = make_fleet(folder / "site.yml")

    class Answering(Transport):
        def execute(self, *_: object, **__: object) -> Completed:
            return Completed(0, self.garble(b""))

    def transport(target: Target) -> Answering:
        return Answering(lambda _: DAMAGED.encode() if target.name == damaged else b"")

    with Remote(targets(fleet), transport=transport) as remote:
        return dict(ask_control_hosts(remote, fleet).records)


def test_a_control_host_with_a_damaged_record_stops_the_command(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"gate1: .*reading the record of the control host"):
        asked(tmp_path, "gate1")


def test_another_host_with_a_damaged_record_stops_nobody(tmp_path: Path) -> None:
    assert asked(tmp_path, "gpu1") == {"gate1": None}


HOSTS = ("gate1", "gpu1", "gpu2")


def several(folder: Path, *disabled: str) -> Fleet:
    hosts: dict[str, dict[str, object]] = {
        name: {"address": f"10.0.0.{number}"} for number, name in enumerate((*HOSTS, "gpu3"), 10)
    }
    for name in disabled:
        hosts[name]["disabled"] = "RMA 4711"
    return replace(make_fleet(folder / "site.yml", hosts=hosts), recorded=HOSTS)


def recorded(*hosts: str) -> ControlRecord:
    return ControlRecord(hosts=hosts, number=2, since=datetime(2026, 12, 1, tzinfo=UTC), who="anna")


@pytest.mark.parametrize("hosts", [HOSTS, HOSTS[::-1]])
def test_the_same_ones_in_any_order_are_no_move(tmp_path: Path, hosts: tuple[str, ...]) -> None:
    refuse_moved(several(tmp_path), recorded(*hosts))


@pytest.mark.parametrize(
    ("hosts", "said"),
    [
        (("gate1",), "gate1 is the control host"),
        (("gate1", "gpu1", "gpu3"), "gate1, gpu1 and gpu3 are the control hosts"),
    ],
)
def test_others_than_in_the_lock_are_refused(tmp_path: Path, hosts: tuple[str, ...], said: str) -> None:
    with pytest.raises(LeasedError) as error:
        refuse_moved(several(tmp_path), recorded(*hosts))
    assert f"{said} (since 2026-12-01T00:00:00Z, anna); this checkout names gate1, gpu1 and gpu2" in str(error.value)
    assert "git pull" in str(error.value)


def test_with_one_of_three_out_of_service_everything_works(tmp_path: Path) -> None:
    refuse_moved(several(tmp_path, "gpu2"), recorded(*HOSTS))


def test_with_two_of_three_out_of_service_nothing_is_started(tmp_path: Path) -> None:
    with pytest.raises(LeasedError, match="only 1 of the control hosts gate1, gpu1 and gpu2 are in service"):
        refuse_moved(several(tmp_path, "gpu1", "gpu2"), recorded(*HOSTS))


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (("gate1",), None),
        ((), None),
        (
            ("gpu1",),
            "gate1 keeps lease and journal, the fleet file names gpu1; next: rackwright lease move, once these are"
            " applied",
        ),
    ],
)
def test_a_move_that_is_still_to_be_made_is_named(tmp_path: Path, named: tuple[str, ...], said: str | None) -> None:
    fleet = make_fleet(tmp_path / "site.yml", control=list(named)) if named else make_fleet(tmp_path / "site.yml")
    assert unmoved(replace(fleet, recorded=("gate1",))) == said

"""Records of the control host that can't be read: whom they stop."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.errors import HostError
from rackwright.fleet.targets import targets
from rackwright.lifecycle.session.control_host import ask_control_hosts
from rackwright.remote import Completed, Remote
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

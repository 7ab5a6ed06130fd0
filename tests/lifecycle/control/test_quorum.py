"""A control host goes down only if the others can do without it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.errors import RackwrightError
from rackwright.lifecycle.control import membership
from rackwright.lifecycle.control.quorum import etcd_fails, refuse_needed
from tests.fleet.fleets import make_fleet

HOSTS = ("gate1", "gpu1", "gpu2", "gpu3", "gpu4")


def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, down: set[str], out: tuple[str, ...]) -> Any:
    """A fleet with so many control hosts, of which some don't answer, and some are out of service."""

    def asked(_: object, hosts: Iterable[str], seconds: int = 1) -> dict[str, str]:
        return {name: "no leader" for name in hosts if name in down}

    monkeypatch.setattr(membership.Membership, "failing", asked)
    hosts: dict[str, dict[str, object]] = {
        name: {"address": f"10.0.0.{number}"} for number, name in enumerate(HOSTS, 10)
    }
    for name in out:
        hosts[name]["disabled"] = "RMA 4711"
    fleet = replace(make_fleet(tmp_path / "site.yml", hosts=hosts), recorded=HOSTS[:count])
    return SimpleNamespace(fleet=fleet, remote=None)


@pytest.mark.parametrize(
    ("count", "down", "out", "goes"),
    [
        (3, set(), (), True),
        (3, {"gpu2"}, (), False),
        (3, set(), ("gpu2",), False),
        (5, {"gpu2"}, (), True),
        (5, {"gpu2", "gpu3"}, (), False),
        (5, {"gpu2"}, ("gpu4",), False),
        (1, set(), (), True),
    ],
)
def test_more_than_half_must_work_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, down: set[str], out: tuple[str, ...], *, goes: bool
) -> None:
    made = session(tmp_path, monkeypatch, count, down, out)
    if goes:
        refuse_needed(made, "gate1")
        return
    with pytest.raises(RackwrightError, match="gate1: without it, too few of the control hosts"):
        refuse_needed(made, "gate1")


def test_another_host_may_always_go_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_needed(session(tmp_path, monkeypatch, 3, {"gpu1", "gpu2"}, ()), "gpu3")


def test_after_a_reboot_it_must_work_with_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = session(tmp_path, monkeypatch, 3, {"gate1"}, ())
    assert [etcd_fails(made, name) for name in ("gate1", "gpu1", "gpu3")] == [
        "its etcd doesn't work yet: no leader",
        None,
        None,
    ]

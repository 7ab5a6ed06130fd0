"""A machine with a wrong clock doesn't decide what is due."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.errors import HostError, RackwrightError
from rackwright.lifecycle.schedule import clock
from rackwright.lifecycle.schedule.clock import TOLERATED, refuse_apart, refuse_wrong_clock
from rackwright.lifecycle.schedule.due import AHEAD, STALE
from rackwright.remote import Completed
from tests.lifecycle.schedule.world import fleet

SAME = {"ctl1": 0.0, "ctl2": 120.0, "ctl3": -120.0}


@pytest.mark.parametrize("offsets", [{}, {"ctl1": 0.0}, SAME, SAME | {"ctl2": 1e8}, SAME | {"ctl3": 121.0}])
def test_one_that_most_control_hosts_agree_with_is_right(offsets: dict[str, float]) -> None:
    refuse_apart(offsets)


@pytest.mark.parametrize(
    "offsets", [{"ctl1": 121.0}, {"ctl1": 0.0, "ctl2": -121.0}, {"ctl1": 0.0, "ctl2": 130.0, "ctl3": 140.0}]
)
def test_one_that_half_of_them_contradict_is_refused(offsets: dict[str, float]) -> None:
    with pytest.raises(RackwrightError, match="this machine's clock differs"):
        refuse_apart(offsets)


def test_it_says_which_and_by_how_much() -> None:
    with pytest.raises(RackwrightError) as raised:
        refuse_apart({"ctl1": -300.4, "ctl2": 86400.0})
    (problem,) = raised.value.problems
    assert problem.listed == ("ctl1: 300 s behind", "ctl2: 86400 s ahead")


def said(ahead: int) -> Completed:
    return Completed(0, f"synchronized yes\ntime {int(time.time()) + ahead}.000000000\n".encode())


@pytest.mark.parametrize(("ahead", "wrong"), [(0, False), (3600, True)])
def test_a_lone_control_host_that_is_this_machine_is_not_the_only_one_that_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: int, *, wrong: bool
) -> None:
    class Hosts:
        def __init__(self, found: Any) -> None:
            assert list(found) == ["ctl1", "gate1", "gpu1", "gpu2"]

        def __enter__(self) -> Hosts:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def run_on(self, names: tuple[str, ...], command: str) -> dict[str, Any]:
            assert names == ("ctl1", "gate1", "gpu1", "gpu2")
            silent = HostError("unreachable", where="gpu2")
            return {"ctl1": said(0), "gate1": said(ahead), "gpu1": said(ahead), "gpu2": silent}

    monkeypatch.setattr("rackwright.remote.Remote", Hosts)
    monkeypatch.setattr(clock, "targets", lambda _, names: dict.fromkeys(names, SimpleNamespace()))
    if wrong:
        with pytest.raises(RackwrightError, match="differs"):
            refuse_wrong_clock(fleet(tmp_path))
    else:
        refuse_wrong_clock(fleet(tmp_path))


def test_clocks_that_are_tolerated_make_no_try_lost_or_incredible() -> None:
    assert min(STALE, AHEAD) > TOLERATED

"""What an update checks before it starts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.errors import RackwrightError
from rackwright.lifecycle.session.remember import Compared
from rackwright.lifecycle.session.survey import Survey
from rackwright.lifecycle.update import procedure as update
from rackwright.lifecycle.update.procedure import Asked
from rackwright.roles.replica.state import ReplicaState
from rackwright.run import Run
from tests.lifecycle.proving import site_of

OLD = "0" * 64


def look(
    session: Any, monkeypatch: pytest.MonkeyPatch, models: tuple[str, ...], units: dict[str, str]
) -> tuple[str, ...]:
    """Given the units on the hosts, return the replicas that an update of these models would change."""
    hosts = {
        name.partition("/")[0]: SimpleNamespace(replicas={"assistant@1": state(unit)}, control=None)
        for name, unit in units.items()
    }
    planned = SimpleNamespace(run=Run(), surveyed=Survey(hosts, {}))  # type: ignore[arg-type]
    monkeypatch.setattr(update, "plan", lambda _: planned)
    monkeypatch.setattr(update, "compared", lambda _: Compared(same=True))
    found = update._look(session, Asked("model update", session.lock, models), None)  # type: ignore[arg-type]
    return tuple(one.address for one in found.replicas)


def state(unit: str) -> ReplicaState:
    return ReplicaState("assistant@1", "active", "ready", None, started=unit, wanted=unit)


def test_every_engine_that_runs_on_another_unit_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    session = site_of({})
    monkeypatch.setattr(update, "files_digest", lambda _: "0" * 64)
    units = dict(update.units_of(session, session.fleet.replicas))
    assert look(session, monkeypatch, ("assistant",), units) == ()
    assert look(session, monkeypatch, ("assistant",), units | {"gpu2/assistant@1": OLD}) == ("gpu2/assistant@1",)


def test_another_model_whose_engines_wait_for_an_apply_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """For example its new names: the gateways would get them at the end, and no engine serves them."""
    session = site_of({})
    monkeypatch.setattr(update, "files_digest", lambda _: "0" * 64)
    units = dict(update.units_of(session, session.fleet.replicas))
    assert look(session, monkeypatch, (), units) == ()
    with pytest.raises(RackwrightError, match=r"yet; .*\n  - gpu2/assistant@1: its engine's settings\n"):
        look(session, monkeypatch, (), units | {"gpu2/assistant@1": OLD})


def test_hosts_stand_in_the_fleet_file_s_order() -> None:
    session: Any = SimpleNamespace(fleet=SimpleNamespace(hosts=("gate1", "gpu10", "gpu9", "gpu1")))
    replicas: Any = [SimpleNamespace(hosts=("gpu1", "gpu9")), SimpleNamespace(hosts=("gpu10",))]
    assert update._hosts(session, replicas) == ("gpu10", "gpu9", "gpu1")


def test_another_build_under_the_same_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be unpacked over the build that runs."""
    session = site_of({})
    (key, runtime), *_ = session.lock.runtimes.items()
    (file, *others) = runtime.files
    other = runtime.model_copy(update={"files": (file.model_copy(update={"sha256": "f" * 64}), *others)})
    before = session.lock.model_copy(update={"runtimes": {**session.lock.runtimes, key: other}})
    planned = SimpleNamespace(run=Run(), surveyed=Survey({}, {}))
    monkeypatch.setattr(update, "plan", lambda _: planned)
    monkeypatch.setattr(update, "compared", lambda _: Compared(same=True))
    with pytest.raises(RackwrightError, match=f"another build has the same version: {key}; "):
        update._look(session, Asked("runtime update", before, ("assistant",)), None)  # type: ignore[arg-type]

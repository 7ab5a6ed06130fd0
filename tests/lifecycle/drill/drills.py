"""What drills are made of: a fleet with scratch hosts, plans of a restore, and the facts of a drill that begins."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.load import load_fleet
from rackwright.fleet.sections.drill import Scenario
from rackwright.lifecycle.backup.choose import Chosen, PassedOver
from rackwright.lifecycle.backup.reader import Reader
from rackwright.lifecycle.backup.snapshots import Snapshot
from rackwright.lifecycle.drill.drill_fleet import Place
from rackwright.lifecycle.drill.evidence.facts import Facts
from rackwright.lifecycle.drill.record import Record
from rackwright.lifecycle.drill.recover import Recovery
from rackwright.lifecycle.drill.scope import scope_of
from rackwright.lifecycle.restore.plan import Files, HostPlan
from tests.fleet.test_load import GOOD
from tests.lifecycle.restore.kit_vault import Operator

DRILL = "20261129T030000Z-0001"
NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
_LOGIN = "user: '{host}', login: 'file:secrets/{host}.login', password: 'file:secrets/password', append_only: yes"
BACKUP = f"""\
backup:
  to:
    - {{name: near, url: 'rest:https://10.0.0.21:8000', {_LOGIN}}}
    - {{name: far, url: 'rest:https://10.0.0.22:8000', {_LOGIN}}}
"""
SCRATCH = """\
drill:
  hosts:
    scratch1: {address: 10.0.0.91, stands_for: [gate1]}
    scratch2: {address: 10.0.0.92, stands_for: [gpu1, gpu2]}
  objectives: {rto: 30m, rpo: 24h}
"""
OWN = GOOD + BACKUP + SCRATCH


def own_fleet(folder: Path, text: str = OWN) -> Fleet:
    """Return the operator's fleet, acme.yml in this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "acme.yml").write_text(text)
    return load_fleet(folder / "acme.yml")


def place_of(own: Fleet, scenario: Scenario = "everything", **changes: Any) -> Place:
    return Place(scope_of(own, scenario), own, ("10.0.0.5",), **changes)


def reader(repository: str = "near", host: str = "gate1") -> Reader:
    return Reader(host, repository, True, None, cast(Any, None), lambda: "restic")


def host_plan(
    host: str,
    time: datetime = NOON,
    *,
    repository: str = "near",
    passed: str | None = None,
    files: Files | None = None,
) -> HostPlan:
    """Return the plan to restore this host; `passed` is a repository that was passed over."""
    snapshot = Snapshot(id="5" * 64, time=time, hostname=host)
    over = (PassedOver(passed, "can't be reached"),) if passed else ()
    return HostPlan(host, Chosen(reader(repository, host), snapshot, "acme", (), over), (), (), (), files=files or {})


def new_facts(scenario: Scenario = "everything", **changes: Any) -> Facts:
    first: dict[str, Any] = {"drill": DRILL, "fleet": "acme", "scenario": scenario, "criticality": "high"}
    return Facts(**first | {"operator": "anna@laptop", "started": NOON - timedelta(hours=1)} | changes)


def new_record(folder: Path, scenario: Scenario = "everything") -> Record:
    return Record(folder / "acme.drills", new_facts(scenario))


class Viewed:
    """What the operator saw."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def restore(self, planned: object) -> None:
        self.seen.append("restore")

    def apply(self, planned: object) -> None:
        self.seen.append("apply")

    def proof(self, proof: object) -> None:
        self.seen.append("proof")


def opened(fleet: Fleet) -> AbstractContextManager[Any]:
    """Open a session in which nothing can be done."""
    return nullcontext(SimpleNamespace(fleet=fleet, hosts={}))


def recovery_in(
    folder: Path, scenario: Scenario = "everything", empty: Callable[[], None] = lambda: None
) -> Recovery:
    return Recovery(opened, new_record(folder, scenario), Operator(), Viewed(), empty)

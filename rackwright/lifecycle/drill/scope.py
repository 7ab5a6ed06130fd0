"""Which hosts a drill restores, and which scratch host takes the place of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rackwright.errors import FleetError, Problem, UsageError
from rackwright.fleet.backup_access import kit_repositories
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.naming import unknown
from rackwright.fleet.sections.drill import Drill, Scenario
from rackwright.lifecycle.drill.evidence.conclusion import REQUIRED
from rackwright.lifecycle.drill.evidence.facts import Assets, Covered, NotCovered

EVERYTHING: Scenario = "everything"
SCENARIOS = tuple(REQUIRED)
_NO_SCRATCH = "no scratch host is left that stands for it"
_NOT_ASKED = "not part of this scenario"


@dataclass(frozen=True)
class Scope:
    """What one drill covers."""

    scenario: Scenario
    scratch: Mapping[str, str]
    """Host of the fleet → the scratch host that takes its place."""
    not_covered: Mapping[str, str]
    """Host in service → why the drill doesn't restore it."""

    @property
    def assets(self) -> Assets:
        covered = tuple(Covered(host, scratch) for host, scratch in self.scratch.items())
        missing = tuple(NotCovered(host, why) for host, why in self.not_covered.items())
        return Assets((*self.scratch, *self.not_covered), covered, missing)


def scenario_named(name: str) -> Scenario:
    """Return the scenario of this name. Raise UsageError if there is none."""
    for scenario in SCENARIOS:
        if scenario == name:
            return scenario
    raise unknown(name, SCENARIOS, "scenario")


_MISSING = Problem("drill", "missing", "should name scratch hosts and objectives; see docs/drill.md")


def section_of(fleet: Fleet) -> Drill:
    """Return the fleet's `drill` section. Raise FleetError if there is none."""
    if fleet.file.drill is None:
        raise FleetError([_MISSING])
    return fleet.file.drill


def drill_of(fleet: Fleet) -> Drill:
    """Return the fleet's `drill` section. Raise FleetError if a drill can't be done with this fleet file."""
    drill = fleet.file.drill
    problems = [] if drill else [_MISSING]
    backup = fleet.file.backup
    if backup is None or all(one.kind == "path" for one in backup.to):
        problems.append(
            Problem("backup.to", "no sftp or rest repository", "a lost host's own disk can't be restored from")
        )
    elif not kit_repositories(fleet):
        problems.append(Problem("backup.snapshots", "is no", "a recovery needs snapshots and a kit"))
    if problems or drill is None:
        raise FleetError(problems)
    return drill


def scope_of(fleet: Fleet, scenario: Scenario, *, host: str | None = None) -> Scope:
    """Return what a drill of this scenario covers; as many hosts as scratch hosts allow, if it is about all.

    `host` chooses the gateway or the serving host that the scenario is about. Raise UsageError if the control host or
    the host that it is about has no scratch host.
    """
    drill = drill_of(fleet)
    if host is not None and host not in fleet.hosts:
        raise unknown(host, fleet.hosts, "host in service")
    wanted = _wanted(fleet, scenario, host)
    able = {name: tuple(one for one, at in drill.hosts.items() if name in at.stands_for) for name in wanted}
    scratch = _matched(able)
    # The control host has lease and journal: without it, nothing can be changed.
    gateways = [] if any(name in scratch for name in fleet.gateways) else fleet.gateways[:1]
    about = wanted if scenario in ("gateway", "serving-host") else ()
    needed = dict.fromkeys((wanted[0], *gateways, *about))
    if missing := [name for name in needed if name not in scratch]:
        raise UsageError(
            f"no scratch host is left that stands for {', '.join(missing)}",
            where="drill.hosts",
            should=f"the scenario {scenario} needs one",
            next="add the host to stands_for of a scratch host of its own",
        )
    reasons = {name: _NO_SCRATCH if name in wanted else _NOT_ASKED for name in fleet.hosts if name not in scratch}
    return Scope(scenario, scratch, reasons)


def _wanted(fleet: Fleet, scenario: Scenario, host: str | None) -> tuple[str, ...]:
    """Return the hosts that the scenario is about, the control host first: it is needed in each of them."""
    control = next((name for name in fleet.control if _has_scratch(fleet, name)), fleet.control[0])
    if scenario == "gateway":
        if host not in (None, *fleet.gateways):
            raise UsageError("is no gateway", where=f"--host {host}", should=f"one of {', '.join(fleet.gateways)}")
        return tuple(dict.fromkeys((control, host or fleet.gateways[0])))
    if scenario == "serving-host":
        serving = host or next((name for name in fleet.hosts if fleet.replicas_on(name)), None)
        if serving is None or not fleet.replicas_on(serving):
            raise UsageError("serves no model", where=host or "hosts", should="should be a host with a replica")
        return tuple(dict.fromkeys((control, fleet.gateways[0], serving)))
    if host is not None:
        raise UsageError("restores all hosts", where=f"--scenario {scenario}", should="leave out --host")
    return tuple(dict.fromkeys((control, *fleet.hosts)))


def _has_scratch(fleet: Fleet, host: str) -> bool:
    return any(host in scratch.stands_for for scratch in drill_of(fleet).hosts.values())


def _matched(able: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Return host → scratch host, for as many hosts as possible, the first ones first (Kuhn's matching)."""
    taken: dict[str, str] = {}

    def place(host: str, tried: set[str]) -> bool:
        for scratch in able[host]:
            if scratch not in tried:
                tried.add(scratch)
                if scratch not in taken or place(taken[scratch], tried):
                    taken[scratch] = host
                    return True
        return False

    for host in able:
        place(host, set())
    found = {host: scratch for scratch, host in taken.items()}
    return {host: found[host] for host in able if host in found}

"""What each scenario takes for lost, and what else its recovery must show."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

from rackwright.errors import RackwrightError
from rackwright.fleet.backup_access import kit_repositories, reached_from_here
from rackwright.fleet.sections.backup import KIT
from rackwright.fleet.sections.drill import Scenario
from rackwright.lifecycle.drill.drill_fleet import Place
from rackwright.lifecycle.drill.evidence.conclusion import (
    OTHER_REPOSITORY,
    POISON_PASSED_OVER,
    WRONG_PASSWORD_REFUSED,
)
from rackwright.lifecycle.drill.evidence.facts import Check, Outcome
from rackwright.lifecycle.drill.recover import Recovered, Recovery
from rackwright.lifecycle.restore.fetch_kit import KitPlace, fetch_kit
from rackwright.state.formats import stamp
from rackwright.values.secrets import Secret

_KIT_FOLDER = "kit"
_WRONG_PASSWORD = "wrong password"  # noqa: S105 (what restic's refusal is called)


def _everything(recovery: Recovery, place: Place, folder: Path) -> Recovered:
    """All covered hosts are lost: recover them from the newest state."""
    return recovery.recover(recovery.fetch(place.own, folder / _KIT_FOLDER), place)


def _poisoned(recovery: Recovery, place: Place, folder: Path) -> Recovered:
    """The newest snapshots can't be trusted: recover from before them."""
    kit = recovery.fetch(place.own, folder / _KIT_FOLDER)
    recovered, newest = recovery.recover_before(kit, place)
    recovery.record.add(_older(recovered, newest))
    return recovered


def _older(recovered: Recovered, newest: Mapping[str, datetime]) -> Check:
    taken = {host: plan.chosen.snapshot.time for host, plan in recovered.plans.items()}
    wrong = [host for host, time in newest.items() if host not in taken or taken[host] >= time]
    found = "; ".join(f"{host}: {stamp(time)}, not {stamp(newest[host])}" for host, time in taken.items())
    said = f"not from before the newest snapshot: {', '.join(wrong)}" if wrong else found
    return Check(POISON_PASSED_OVER, "failed" if wrong else "passed", found=said)


def _repository_lost(recovery: Recovery, place: Place, folder: Path) -> Recovered:
    """The first repository that has a kit is lost, too: recover from the next one."""
    lost = kit_repositories(place.own)[0]
    kit = recovery.fetch(place.own, folder / _KIT_FOLDER, lost=lost)
    recovered = recovery.recover(kit, replace(place, lost=lost))
    recovery.record.add(_elsewhere(recovered, lost))
    return recovered


def _elsewhere(recovered: Recovered, lost: str) -> Check:
    used = {host: plan.chosen.reader.repository for host, plan in recovered.plans.items()}
    tried = all(any(one.repository == lost for one in plan.chosen.passed_over) for plan in recovered.plans.values())
    good = bool(used) and tried and lost not in used.values()
    found = "; ".join(f"{host}: from {name}" for host, name in used.items()) or "nothing was restored"
    return Check(OTHER_REPOSITORY, "passed" if good else "failed", found=f"{lost} was unreachable; {found}")


def _refused(recovery: Recovery, place: Place, folder: Path) -> None:
    """A wrong password must open neither a kit nor a host's snapshots, and be named as the reason."""
    wrong = folder / "password"
    wrong.touch(mode=0o600)
    wrong.write_text(secrets.token_urlsafe(32))
    recovery.record.reach(_KIT_FOLDER)
    found = [*_kit_refusals(recovery, place, folder, wrong)]
    kit = recovery.fetch(place.own, folder / _KIT_FOLDER)
    found += [("hosts' snapshots", _said(lambda: recovery.recover(kit, replace(place, password=wrong))))]
    refused = all(said and all(_WRONG_PASSWORD in line for line in said) for _, said in found)
    said = "; ".join(f"{what}: {'; '.join(said) or 'opened'}" for what, said in found)
    outcome: Outcome = "passed" if refused else "failed"
    recovery.record.add(Check(WRONG_PASSWORD_REFUSED, outcome, found=said, expected=_WRONG_PASSWORD))


def _kit_refusals(
    recovery: Recovery, place: Place, folder: Path, wrong: Path
) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name in kit_repositories(place.own):
        repository, access = reached_from_here(place.own, KIT, name)
        closed = KitPlace(repository, replace(access, password=Secret(wrong.read_text())))
        into = folder / f"{name}.refused"
        yield f"the kit at {name}", _said(partial(fetch_kit, closed, into, recovery.console))


def _said(work: Callable[[], object]) -> tuple[str, ...]:
    """Return how the work was refused, by every host or repository; empty: it wasn't."""
    try:
        work()
    except RackwrightError as error:
        return tuple(problem.line() for problem in error.problems)
    return ()


SCENARIOS: Mapping[Scenario, Callable[[Recovery, Place, Path], Recovered | None]] = {
    "gateway": _everything,
    "serving-host": _everything,
    "everything": _everything,
    "poisoned": _poisoned,
    "repository-lost": _repository_lost,
    "wrong-password": _refused,
}
"""None is returned if nothing must be recovered."""

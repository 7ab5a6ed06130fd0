"""What a drill's report states beyond its checks: policy, recovery points, versions, and what wasn't tested."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import rackwright
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.public_files import named_files
from rackwright.lifecycle.backup.at import NEWEST, At
from rackwright.lifecycle.backup.restic_here import restic_version
from rackwright.lifecycle.drill.evidence.facts import (
    DecryptionKey,
    EngineVersion,
    NotTested,
    Policy,
    RecoveryPoint,
    Versions,
    policy_of,
)
from rackwright.lifecycle.drill.guard import anything
from rackwright.lifecycle.drill.scope import Scope, drill_of
from rackwright.lifecycle.drill.scratch_hosts.wipe import Brought
from rackwright.lifecycle.drill.scratch_hosts.wipe import Restored as RestoredFile
from rackwright.lifecycle.restore.plan import HostPlan
from rackwright.lifecycle.session.session import Session
from rackwright.state.formats import stamp

_MOST_PASSED = 50
PERSONAL_DATA = (
    "Snapshots have operators' names and addresses in audit logs, and the owners of API keys; no prompts and no "
    "answers. The checks `wiped` say whether all of it was removed from the scratch hosts."
)
_NOT_TESTED = (
    NotTested(
        "how a loss is noticed, and how spare machines are obtained", "the drill begins with prepared machines"
    ),
    NotTested("DNS, the virtual address and clients' networks", "a drill must not receive clients' requests"),
    NotTested("the load that the restored service can carry", "the drill sends single requests"),
    NotTested("the controller", "it is the machine that runs the drill; its secrets were there"),
)


def policy_now(fleet: Fleet) -> Policy:
    """Return what the fleet file promises."""
    objectives, backup = drill_of(fleet).objectives, fleet.file.backup
    assert backup is not None  # noqa: S101 # drill_of refuses a fleet without
    zone = fleet.file.timezone
    scope = ["state of each host", "API keys", "the kit: fleet files, their history and the CA's key"]
    scope += [what for what in ("models", "builds", "packages") if getattr(backup, what) == "yes"]
    return policy_of(
        rto_s=objectives.rto,
        rpo_s=objectives.rpo,
        keep_within_s=backup.keep_within,
        schedule=f"snapshots daily at {backup.at} {zone}; checks {backup.check} {zone}; drills by operators",
        scope=tuple(scope),
    )


def recovery_points(fleet: Fleet, plans: Iterable[HostPlan], at: At = NEWEST) -> tuple[RecoveryPoint, ...]:
    """Return the snapshot that each host was restored from; `at` is what the recovery asked for."""
    newest = f"the newest honest snapshot up to {stamp(at.until)}" if at.until else "the newest honest snapshot"
    asked = {one.name: one for one in (fleet.file.backup.to if fleet.file.backup else ())}
    found = []
    for plan in plans:
        chosen, name = plan.chosen, plan.chosen.reader.repository
        found.append(
            RecoveryPoint(
                host=plan.host,
                repository=name,
                place=asked[name].kind,
                snapshot=chosen.snapshot.id,
                time=chosen.snapshot.time,
                encrypted=True,  # restic has no unencrypted repositories
                append_only=asked[name].append_only == "yes",
                chosen=f"{newest} of the first repository that can be read ({chosen.reader.name})",
                passed_over=tuple(_some(chosen.passed_over)),
            )
        )
    return tuple(found)


def _some(passed_over: Sequence[object]) -> Iterator[str]:
    # An attacker who can write to a repository can put any number of snapshots there.
    yield from map(str, passed_over[:_MOST_PASSED])
    if len(passed_over) > _MOST_PASSED:
        yield f"{len(passed_over) - _MOST_PASSED} more"


def keys_used(fleet: Fleet, plans: Iterable[HostPlan]) -> tuple[DecryptionKey, ...]:
    """Return which secrets opened the repositories."""
    asked = {one.name: one for one in (fleet.file.backup.to if fleet.file.backup else ())}
    names = dict.fromkeys(plan.chosen.reader.repository for plan in plans)
    return tuple(DecryptionKey(name, asked[name].password) for name in names)


def versions_now() -> Versions:
    """Return the versions on this machine. Raise RackwrightError if it has no restic."""
    return Versions(rackwright.__version__, restic_version())


def engines(session: Session) -> tuple[EngineVersion, ...]:
    """Return the runtimes that the lock gives each host."""
    return tuple(
        EngineVersion(host, one.settings.kind, one.settings.version)
        for host, spec in session.hosts.items()
        for one in spec.runtimes
    )


def brought_to(session: Session, host: str) -> Brought:
    """Return what the recovery brought to the host that a wipe must remove, and texts by which copies are found."""
    store = session.hosts[host].model_store
    files = tuple(
        RestoredFile(f"{store.folder(model)}/{file.path}", file.sha256)
        for model in (store.models if store else ())
        for file in model.files
        if store
    )
    return replace(anything(session.fleet), files=files)


def not_tested(fleet: Fleet, scope: Scope) -> tuple[NotTested, ...]:
    """Return what this drill can't show."""
    return (*_NOT_TESTED, *_of_fleet(fleet, scope))


def _of_fleet(fleet: Fleet, scope: Scope) -> Iterator[NotTested]:
    yield from (NotTested(host, why) for host, why in scope.not_covered.items())
    placed = {name: {one.host for one in fleet.replicas_of(name)} for name in fleet.file.models}
    models = [name for name, hosts in placed.items() if not hosts & set(scope.scratch)]
    yield from (NotTested(f"the model {name}", "no host that serves it is part of the drill") for name in models)
    for written in named_files(fleet):
        if written.startswith(("/", "~")):
            yield NotTested(f"the kit's copy of {written}", "its whole path is in the fleet file: it was read here")
    if fleet.file.p2p:
        yield NotTested("peer-to-peer transfer at the fleet's speed", "scratch hosts have other networks")

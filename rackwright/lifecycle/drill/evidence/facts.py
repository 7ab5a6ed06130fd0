"""What a drill did and found. `docs/drill.md` says which clause asks for each field."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from rackwright.fleet.sections.drill import Scenario
from rackwright.lifecycle.drill.evidence.timeline import Timing
from rackwright.state.formats import Moment

Outcome = Literal["passed", "failed", "not run"]


@dataclass(frozen=True)
class Policy:
    """What the fleet file promised when the drill began."""

    rto_s: int
    """Objective: seconds from the loss to the first proven answer."""
    rpo_s: int
    """Objective: largest age in seconds of the newest data restored."""
    keep_within_s: int
    """Seconds for which snapshots are kept."""
    schedule: str
    """When snapshots are made, checked and drilled, in words."""
    scope: tuple[str, ...]
    """What is backed up: folders and kinds of data."""
    sha256: str
    """Of the five above when the drill began."""

    @property
    def digest(self) -> str:
        """The sha256 of the five values, as a JSON list without spaces."""
        values = [self.rto_s, self.rpo_s, self.keep_within_s, self.schedule, list(self.scope)]
        return hashlib.sha256(json.dumps(values, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True)
class Covered:
    host: str
    scratch: str
    """The scratch host that takes its place: its name or its address."""


@dataclass(frozen=True)
class NotCovered:
    host: str
    why: str


@dataclass(frozen=True)
class Assets:
    in_scope: tuple[str, ...]
    """All hosts whose recovery the policy promises."""
    covered: tuple[Covered, ...]
    not_covered: tuple[NotCovered, ...] = ()


@dataclass(frozen=True)
class RecoveryPoint:
    """The snapshot that one host was restored from."""

    host: str
    repository: str
    place: str
    """Kind of the repository's place, like rest or sftp."""
    snapshot: str
    """Its full ID."""
    time: Moment
    """Of the newest data in it: when the snapshot was made."""
    encrypted: bool
    append_only: bool
    """Whether the place refuses hosts that delete or overwrite."""
    chosen: str
    """How it was chosen, in words."""
    passed_over: tuple[str, ...] = ()
    """Snapshots and repositories that weren't taken, each with the reason."""


@dataclass(frozen=True)
class Check:
    """One check. The names that a drill must have are in `conclusion`."""

    name: str
    outcome: Outcome
    host: str = ""
    """The fleet's host whose scratch host was checked; empty: the service as a whole."""
    found: str = ""
    expected: str = ""


@dataclass(frozen=True)
class Integrity:
    """Files of one restored host, compared by hash with the snapshot."""

    host: str
    expected: int
    restored: int
    equal: int
    bytes: int


@dataclass(frozen=True)
class DecryptionKey:
    """A key that opened a repository. Never the key itself."""

    repository: str
    source: str
    """Where the password came from, like the kit or file:PATH."""


@dataclass(frozen=True)
class NegativeControl:
    """A restore or a request that was sabotaged, so it had to fail. If it doesn't, the checks prove nothing."""

    what: str
    expected: str
    found: str
    failed: bool
    """Whether it failed in the expected way."""


@dataclass(frozen=True)
class EngineVersion:
    host: str
    engine: str
    version: str


@dataclass(frozen=True)
class Versions:
    rackwright: str
    restic: str
    engines: tuple[EngineVersion, ...] = ()


@dataclass(frozen=True)
class CommandRun:
    host: str
    """Empty: the controller."""
    command: str
    """Without secrets."""
    exit_code: int
    log_sha256: str


@dataclass(frozen=True)
class Finding:
    """Something to improve. Its number is its place in the report, from 1."""

    text: str
    owner: str
    due: date


@dataclass(frozen=True)
class EarlierFinding:
    """A finding of an earlier drill, and whether a review has closed it."""

    drill: str
    number: int
    text: str
    owner: str
    due: date
    closed: str | None = None
    """How, in the reviewer's words; None: it is open."""


@dataclass(frozen=True)
class NotTested:
    what: str
    why: str


@dataclass(frozen=True)
class Facts:
    """Everything a drill knows. A field that the drill hasn't reached has its default."""

    drill: str
    """The run's id."""
    fleet: str
    scenario: Scenario
    criticality: str
    operator: str
    started: Moment
    ended: Moment | None = None
    """None: the drill was cut off."""
    planned: Moment | None = None
    """None: it wasn't scheduled."""
    missed: tuple[Moment, ...] = ()
    """Planned drills since the last one that didn't take place."""
    policy: Policy | None = None
    assets: Assets | None = None
    recovery_points: tuple[RecoveryPoint, ...] = ()
    timing: Timing | None = None
    checks: tuple[Check, ...] = ()
    """Also isolation, wipes, golden answers and API keys."""
    integrity: tuple[Integrity, ...] = ()
    decryption_keys: tuple[DecryptionKey, ...] = ()
    negative_controls: tuple[NegativeControl, ...] = ()
    versions: Versions | None = None
    commands: tuple[CommandRun, ...] = ()
    findings: tuple[Finding, ...] = ()
    earlier_findings: tuple[EarlierFinding, ...] = ()
    not_tested: tuple[NotTested, ...] = ()
    personal_data: str = ""
    """Which personal data the scratch hosts had, and what became of them."""
    error: str | None = None
    """Why the drill stopped before its end."""

    def named(self, name: str) -> tuple[Check, ...]:
        """Return the checks of this name."""
        return tuple(check for check in self.checks if check.name == name)


def policy_of(*, rto_s: int, rpo_s: int, keep_within_s: int, schedule: str, scope: tuple[str, ...]) -> Policy:
    """Return the policy with its sha256."""
    policy = Policy(rto_s, rpo_s, keep_within_s, schedule, scope, sha256="")
    return replace(policy, sha256=policy.digest)

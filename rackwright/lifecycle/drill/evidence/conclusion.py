"""What a drill's facts prove. Pure: a report's reader gets the same answer as the drill did.

`drill verify` concludes again from the facts of old reports. So a change to what facts prove, or to the words of a
doubt, needs a new version of the report's format.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import isfinite

from rackwright.fleet.sections.drill import Scenario
from rackwright.lifecycle.drill.evidence.facts import Assets, Check, Facts

NOT_PRODUCTION = "not production"
"""The scratch host is no machine of the fleet."""
CA_KEY_SAVED = "CA key restored"
"""A kit has the CA's key: this machine's own, which a disaster may take, isn't used."""
ISOLATED = "isolated"
"""The scratch host can reach nothing of the fleet, and egress is closed."""
WIPED = "wiped"
"""Nothing of the restored data is left on the scratch host."""
DECRYPTS = "decrypts"
"""What was restored could be decrypted, and its secrets open."""
HASHES = "hashes"
"""Each restored file equals the snapshot's."""
STATE_READ = "state is read"
"""The parsers that use the state read it."""
WEIGHTS_SAVED = "weights are in the snapshot"
"""The snapshot has the weights that no download source has: they don't come from this machine."""
SERVES = "serves"
"""The restored service answers a request."""
GOLDEN = "golden answers"
KEY_ACCEPTED = "valid key accepted"
REVOKED_REFUSED = "revoked key refused"
NEGATIVE = "corrupted copy refused"
POISON_PASSED_OVER = "forged snapshot passed over"
OTHER_REPOSITORY = "restored from another repository"
WRONG_PASSWORD_REFUSED = "wrong password refused"  # noqa: S105 (a check's name)

CLOCK_SLACK_S = 300
"""How far the two clocks may be apart at the end of a drill."""


@dataclass(frozen=True)
class Required:
    """The checks that a scenario needs. Each needs at least one that passed, and none that failed."""

    hosts: tuple[str, ...]
    """For each covered host."""
    service: tuple[str, ...]
    restores: bool = True
    """Whether data are restored, so that RTO, RPO, integrity and a negative control count."""


_SCRATCH = (NOT_PRODUCTION, ISOLATED, WIPED)
_STATE = (*_SCRATCH, DECRYPTS, HASHES, STATE_READ)
_RESTORED = (*_STATE, WEIGHTS_SAVED)
_KEYS = (KEY_ACCEPTED, REVOKED_REFUSED)
_ALL = (CA_KEY_SAVED, SERVES, GOLDEN, *_KEYS, NEGATIVE)
REQUIRED: Mapping[Scenario, Required] = {
    "gateway": Required(_STATE, (CA_KEY_SAVED, SERVES, *_KEYS, NEGATIVE)),
    "serving-host": Required(_RESTORED, (CA_KEY_SAVED, SERVES, GOLDEN, NEGATIVE)),
    "everything": Required(_RESTORED, _ALL),
    "poisoned": Required(_RESTORED, (*_ALL, POISON_PASSED_OVER)),
    "repository-lost": Required(_RESTORED, (*_ALL, OTHER_REPOSITORY)),
    "wrong-password": Required(_SCRATCH, (WRONG_PASSWORD_REFUSED,), restores=False),
}


@dataclass(frozen=True)
class Conclusion:
    passed: bool
    """Whether there is no doubt."""
    doubts: tuple[str, ...]
    rto_s: float | None
    """Measured: seconds from the declared loss to the first proven answer."""
    rpo_s: float | None
    """Measured: seconds from the newest data restored to the declared loss, of the worst host."""


def conclude(facts: Facts) -> Conclusion:
    """Return what the facts prove, and every doubt about it."""
    doubts = tuple(_doubts(facts, REQUIRED[facts.scenario]))
    return Conclusion(not doubts, doubts, rto_s(facts), rpo_s(facts))


def rto_s(facts: Facts) -> float | None:
    """Return the measured RTO in seconds, None if no answer was proven."""
    return facts.timing.answer_after_s if facts.timing else None


def rpo_s(facts: Facts) -> float | None:
    """Return the measured RPO in seconds, None if nothing was restored."""
    if not facts.timing or not facts.recovery_points:
        return None
    return max((facts.timing.loss_declared - point.time).total_seconds() for point in facts.recovery_points)


def _doubts(facts: Facts, required: Required) -> Iterator[str]:
    yield from _course(facts)
    yield from _told(facts)
    yield from _coverage(facts)
    yield from _checks(facts, required)
    yield from _clocks(facts)
    if required.restores:
        yield from _objectives(facts)
        yield from _data(facts)
        yield from _controls(facts)


def _course(facts: Facts) -> Iterator[str]:
    if facts.error:
        yield f"the drill stopped: {facts.error}"
    if facts.ended is None:
        yield "the drill was cut off before its end"
    elif facts.ended < facts.started:
        yield "the drill ended before it started"


def _told(facts: Facts) -> Iterator[str]:
    """Yield which statements are missing."""
    statements = {
        "its criticality": facts.criticality,
        "its operator": facts.operator,
        "its policy": facts.policy,
        "its versions": facts.versions,
        "which commands ran": facts.commands,
        "what wasn't tested": facts.not_tested,
        "what became of personal data": facts.personal_data,
    }
    yield from (f"the drill doesn't say {what}" for what, stated in statements.items() if not stated)
    if facts.policy and facts.policy.sha256 != facts.policy.digest:
        yield "the policy isn't the one whose sha256 the report has"


def _coverage(facts: Facts) -> Iterator[str]:
    if not facts.assets or not facts.assets.covered:
        yield "no host was covered"
        return
    yield from _split(facts.assets)
    if facts.scenario == "everything":
        yield from (f"{one.host}: not covered: {one.why}" for one in facts.assets.not_covered)


def _split(assets: Assets) -> Iterator[str]:
    """Yield why covered and not covered hosts aren't exactly those in scope."""
    named = [*(one.host for one in assets.covered), *(one.host for one in assets.not_covered)]
    scratch = [one.scratch for one in assets.covered]
    yield from (f"{host}: neither covered nor named as not covered" for host in assets.in_scope if host not in named)
    yield from (f"{host}: not in scope" for host in named if host not in assets.in_scope)
    yield from (f"{host}: named twice" for host in sorted({host for host in named if named.count(host) > 1}))
    yield from (f"{host}: its scratch host is in the fleet" for host in scratch if host in assets.in_scope)
    yield from (
        f"{host}: the scratch host of several hosts"
        for host in sorted({one for one in scratch if scratch.count(one) > 1})
    )


def _checks(facts: Facts, required: Required) -> Iterator[str]:
    for check in facts.checks:
        if check.outcome == "failed":
            yield f"{_where(check)}{check.name}: failed: {check.found or 'no details'}"
    for name in required.service:
        yield from _missing(name, "", facts.named(name))
    for host in _covered(facts):
        for name in required.hosts:
            yield from _missing(name, f"{host}: ", [one for one in facts.named(name) if one.host == host])


def _missing(name: str, where: str, checks: Sequence[Check]) -> Iterator[str]:
    if not checks:
        yield f"{where}{name}: not checked"
    yield from (f"{_where(check)}{name}: not run" for check in checks if check.outcome == "not run")


def _where(check: Check) -> str:
    return f"{check.host}: " if check.host else ""


def _covered(facts: Facts) -> tuple[str, ...]:
    return tuple(one.host for one in facts.assets.covered) if facts.assets else ()


def _clocks(facts: Facts) -> Iterator[str]:
    timing = facts.timing
    if not timing or timing.ended is None or timing.ended_after_s is None or not isfinite(timing.ended_after_s):
        yield "the time line has no end"
        return
    wall = timing.ended - timing.loss_declared
    if abs(wall - timedelta(seconds=timing.ended_after_s)) > timedelta(seconds=CLOCK_SLACK_S):
        yield "the controller's clock was changed during the drill"
    if facts.ended and not facts.started <= timing.loss_declared <= timing.ended <= facts.ended:
        yield "the time line isn't within the drill"


def _objectives(facts: Facts) -> Iterator[str]:
    for name, measured, objective in (
        ("RTO", rto_s(facts), facts.policy.rto_s if facts.policy else None),
        ("RPO", rpo_s(facts), facts.policy.rpo_s if facts.policy else None),
    ):
        if measured is None or not isfinite(measured):
            yield f"{name}: not measured"
        elif measured < 0:
            yield f"{name}: measured as less than nothing"
        elif objective is not None and measured > objective:
            yield f"{name}: {measured:.0f} s, over the objective of {objective} s"
    end = facts.timing.ended_after_s if facts.timing else None
    answer = rto_s(facts)
    if answer is not None and end is not None and answer > end:
        yield "RTO: the answer was proven after the end"


def _data(facts: Facts) -> Iterator[str]:
    for host in _covered(facts):
        points = [point for point in facts.recovery_points if point.host == host]
        if not points:
            yield f"{host}: no recovery point"
        counts = [one for one in facts.integrity if one.host == host]
        if not counts:
            yield f"{host}: its files weren't compared"
        for one in counts:
            if one.expected <= 0 or not one.expected == one.restored == one.equal:
                yield f"{host}: of {one.expected} files, {one.restored} were restored and {one.equal} are equal"
    for point in facts.recovery_points:
        if facts.timing and point.time > facts.timing.loss_declared:
            yield f"{point.host}: its snapshot was made after the loss"
        if not point.encrypted:
            yield f"{point.host}: its snapshot in {point.repository} isn't encrypted"
        if point.repository not in {key.repository for key in facts.decryption_keys}:
            yield f"{point.host}: no key is named that decrypts {point.repository}"


def _controls(facts: Facts) -> Iterator[str]:
    if not facts.negative_controls:
        yield "no negative control"
    for one in facts.negative_controls:
        if not one.failed:
            yield f"the negative control didn't fail: {one.what}: {one.found}"

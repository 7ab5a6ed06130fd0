"""The facts of a drill that passes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from rackwright import __version__
from rackwright.lifecycle.drill.evidence import conclusion as needed
from rackwright.lifecycle.drill.evidence.facts import (
    Assets,
    Check,
    CommandRun,
    Covered,
    DecryptionKey,
    EngineVersion,
    Facts,
    Finding,
    Integrity,
    NegativeControl,
    NotTested,
    RecoveryPoint,
    Scenario,
    Versions,
    policy_of,
)
from rackwright.lifecycle.drill.evidence.timeline import Phase, Timing

START = datetime(2026, 11, 29, 3, 0, tzinfo=UTC)
FIRST, SECOND, THIRD = "20261129T030000Z-0001", "20261129T030000Z-0002", "20261129T030000Z-0003"
HOSTS = ("gate1", "gpu1")


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def passing(scenario: Scenario = "everything", drill: str = FIRST, fleet: str = "acme") -> Facts:
    """Return facts without any doubt, with every field filled."""
    return Facts(
        drill=drill,
        fleet=fleet,
        scenario=scenario,
        criticality="high",
        operator="anna@laptop",
        started=START,
        ended=START + minutes(21),
        planned=START,
        missed=(START - timedelta(days=30),),
        policy=policy_of(
            rto_s=3600, rpo_s=86400, keep_within_s=30 * 86400, schedule="daily at 02:30", scope=("state", "keys")
        ),
        assets=Assets(HOSTS, tuple(Covered(host, f"scratch-{host}") for host in HOSTS)),
        recovery_points=tuple(point(host) for host in HOSTS),
        timing=Timing(
            START + minutes(1),
            (Phase("restored", START + minutes(1), 0.0, 600.0), Phase("answers", START + minutes(11), 600.0, 540.0)),
            answer_after_s=700.0,
            ended=START + minutes(20),
            ended_after_s=1140.0,
        ),
        checks=checks(scenario),
        integrity=tuple(Integrity(host, 20, 20, 20, 4096) for host in HOSTS),
        decryption_keys=(DecryptionKey("vault", "the kit"),),
        negative_controls=(NegativeControl("a byte flipped in a pack", "damaged", "damaged", failed=True),),
        versions=Versions(__version__, "0.18.0", (EngineVersion("gpu1", "llama_cpp", "b10434"),)),
        commands=(CommandRun("gate1", "restic restore", 0, "a" * 64),),
        findings=(Finding("the spare disk is slow", "ben", date(2027, 1, 31)),),
        not_tested=(NotTested("the building", "there is one"),),
        personal_data="none: the scratch hosts had no requests",
    )


def point(host: str) -> RecoveryPoint:
    return RecoveryPoint(
        host,
        "vault",
        "sftp",
        "f" * 64,
        START - timedelta(minutes=30),
        encrypted=True,
        append_only=True,
        chosen="the newest honest snapshot",
        passed_over=("vault: 01234567: may be forged",),
    )


def checks(scenario: Scenario) -> tuple[Check, ...]:
    """Return the checks that the scenario needs, all passed."""
    required = needed.REQUIRED[scenario]
    own = [Check(name, "passed", host, "yes", "yes") for host in HOSTS for name in required.hosts]
    return (*own, *(Check(name, "passed", "", "yes", "yes") for name in required.service))

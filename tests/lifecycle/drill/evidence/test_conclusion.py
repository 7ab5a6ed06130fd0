from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import timedelta
from typing import get_args

import pytest

from rackwright.fleet.sections.drill import Scenario
from rackwright.lifecycle.drill.evidence.conclusion import REQUIRED, conclude
from rackwright.lifecycle.drill.evidence.facts import Assets, Check, Covered, Facts, NotCovered
from tests.lifecycle.drill.passing import HOSTS, START, minutes, passing

SCENARIOS: tuple[Scenario, ...] = get_args(Scenario)


def first(facts: Facts, name: str, **changes: object) -> Facts:
    """Return the facts with the first entry of a list changed."""
    one, *others = getattr(facts, name)
    return replace(facts, **{name: (replace(one, **changes), *others)})


def within(facts: Facts, name: str, **changes: object) -> Facts:
    return replace(facts, **{name: replace(getattr(facts, name), **changes)})


def without(facts: Facts, name: str) -> Facts:
    """Return the facts with a field as it is before the drill reaches it."""
    return replace(facts, **{name: next(one.default for one in fields(Facts) if one.name == name)})


Flip = Callable[[Facts], Facts]
FLIPS: dict[str, tuple[Flip, str]] = {
    "stopped": (lambda f: replace(f, error="no space"), "stopped: no space"),
    "cut off": (lambda f: without(f, "ended"), "cut off"),
    "ended first": (lambda f: replace(f, ended=START - minutes(1)), "before it started"),
    "no criticality": (lambda f: replace(f, criticality=""), "criticality"),
    "no operator": (lambda f: replace(f, operator=""), "operator"),
    "no policy": (lambda f: without(f, "policy"), "policy"),
    "no versions": (lambda f: without(f, "versions"), "versions"),
    "no commands": (lambda f: without(f, "commands"), "commands"),
    "nothing untested": (lambda f: without(f, "not_tested"), "wasn't tested"),
    "no word on personal data": (lambda f: without(f, "personal_data"), "personal data"),
    "other RTO objective": (lambda f: within(f, "policy", rto_s=7200), "sha256"),
    "other RPO objective": (lambda f: within(f, "policy", rpo_s=7200000), "sha256"),
    "other retention": (lambda f: within(f, "policy", keep_within_s=1), "sha256"),
    "other schedule": (lambda f: within(f, "policy", schedule="never"), "sha256"),
    "other scope": (lambda f: within(f, "policy", scope=()), "sha256"),
    "other policy": (lambda f: within(f, "policy", sha256="0" * 64), "sha256"),
    "no assets": (lambda f: without(f, "assets"), "no host was covered"),
    "nothing covered": (lambda f: within(f, "assets", covered=()), "no host was covered"),
    "host forgotten": (lambda f: within(f, "assets", in_scope=(*HOSTS, "gpu2")), "gpu2: neither"),
    "host out of scope": (lambda f: within(f, "assets", in_scope=HOSTS[:1]), "gpu1: not in scope"),
    "host not covered": (
        lambda f: replace(f, assets=Assets((*HOSTS, "gpu2"), f.assets.covered, (NotCovered("gpu2", "no room"),))),
        "gpu2: not covered: no room",
    ),
    "host named twice": (
        lambda f: within(f, "assets", not_covered=(NotCovered("gate1", "no room"),)),
        "gate1: named twice",
    ),
    "a fleet's host as scratch": (
        lambda f: within(f, "assets", covered=(Covered("gate1", "gpu1"), f.assets.covered[1])),
        "its scratch host is in the fleet",
    ),
    "one scratch host for two": (
        lambda f: within(f, "assets", covered=tuple(Covered(host, "scratch") for host in HOSTS)),
        "of several hosts",
    ),
    "no recovery point": (lambda f: replace(f, recovery_points=f.recovery_points[1:]), "gate1: no recovery point"),
    "old recovery point": (lambda f: first(f, "recovery_points", time=START - timedelta(days=2)), "RPO: "),
    "future recovery point": (lambda f: first(f, "recovery_points", time=START + minutes(5)), "after the loss"),
    "plain recovery point": (lambda f: first(f, "recovery_points", encrypted=False), "isn't encrypted"),
    "other repository": (lambda f: first(f, "recovery_points", repository="disk"), "decrypts disk"),
    "no timing": (lambda f: without(f, "timing"), "time line"),
    "no answer": (lambda f: within(f, "timing", answer_after_s=None), "RTO: not measured"),
    "no end": (lambda f: within(f, "timing", ended=None), "time line has no end"),
    "no end in seconds": (lambda f: within(f, "timing", ended_after_s=None), "time line has no end"),
    "late answer": (
        lambda f: within(f, "timing", answer_after_s=3601.0),
        "RTO: 3601 s, over the objective of 3600 s",
    ),
    "answer after the end": (lambda f: within(f, "timing", answer_after_s=1141.0), "after the end"),
    "answer before the loss": (lambda f: within(f, "timing", answer_after_s=-1.0), "less than nothing"),
    "answer at no time": (lambda f: within(f, "timing", answer_after_s=float("nan")), "RTO: not measured"),
    "end at no time": (lambda f: within(f, "timing", ended_after_s=float("nan")), "no end"),
    "clock a day off": (lambda f: within(f, "timing", ended_after_s=1140.0 + 86400), "clock was changed"),
    "loss before the drill": (lambda f: within(f, "timing", loss_declared=START - minutes(1)), "within the drill"),
    "time line after the drill": (lambda f: replace(f, ended=START + minutes(19)), "within the drill"),
    "not compared": (lambda f: replace(f, integrity=f.integrity[1:]), "gate1: its files weren't compared"),
    "no files": (lambda f: first(f, "integrity", expected=0, restored=0, equal=0), "of 0 files"),
    "file missing": (lambda f: first(f, "integrity", restored=19), "19 were restored"),
    "file differs": (lambda f: first(f, "integrity", equal=19), "19 are equal"),
    "more files expected": (lambda f: first(f, "integrity", expected=21), "of 21 files"),
    "no key": (lambda f: without(f, "decryption_keys"), "no key"),
    "no control": (lambda f: without(f, "negative_controls"), "no negative control"),
    "control passed": (lambda f: first(f, "negative_controls", failed=False), "didn't fail"),
    "another check failed": (
        lambda f: replace(f, checks=(*f.checks, Check("databases", "failed", "gate1", "empty", "rows"))),
        "gate1: databases: failed: empty",
    ),
}


HOST = {"not production", "isolated", "wiped"}
DATA = HOST | {"decrypts", "hashes", "state is read"}
KEYS = {"valid key accepted", "revoked key refused"}
RECOVERY = {"CA key restored", "serves", "corrupted copy refused"}
WEIGHTS = "weights are in the snapshot"


@pytest.mark.parametrize(
    ("scenario", "of_hosts", "of_service"),
    [
        ("gateway", DATA, RECOVERY | KEYS),
        ("serving-host", DATA | {WEIGHTS}, RECOVERY | {"golden answers"}),
        ("everything", DATA | {WEIGHTS}, RECOVERY | KEYS | {"golden answers"}),
        ("poisoned", DATA | {WEIGHTS}, RECOVERY | KEYS | {"golden answers", "forged snapshot passed over"}),
        (
            "repository-lost",
            DATA | {WEIGHTS},
            RECOVERY | KEYS | {"golden answers", "restored from another repository"},
        ),
        ("wrong-password", HOST, {"wrong password refused"}),
    ],
)
def test_a_drill_passes_only_with_each_of_these_checks(
    scenario: Scenario, of_hosts: set[str], of_service: set[str]
) -> None:
    facts = passing(scenario)
    none = conclude(replace(facts, checks=()))
    expected = [f"{name}: not checked" for name in of_service]
    expected += [f"{host}: {name}: not checked" for name in of_hosts for host in HOSTS]
    assert sorted(none.doubts) == sorted(expected)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_drill_without_doubt_passes(scenario):
    found = conclude(passing(scenario))
    assert (found.passed, found.doubts) == (True, ())
    assert (found.rto_s, found.rpo_s) == (700.0, 1860.0)


@pytest.mark.parametrize("flip", FLIPS)
def test_any_flipped_fact_is_a_doubt(flip):
    change, words = FLIPS[flip]
    found = conclude(change(passing()))
    assert not found.passed
    assert any(words in doubt for doubt in found.doubts), found.doubts


CHECKS = [(scenario, number) for scenario in SCENARIOS for number, _ in enumerate(passing(scenario).checks)]


@pytest.mark.parametrize(("scenario", "number"), CHECKS)
def test_each_required_check_must_be_there_and_pass(scenario, number):
    facts = passing(scenario)
    before, check, after = facts.checks[:number], facts.checks[number], facts.checks[number + 1 :]
    for others in ((), (replace(check, outcome="failed"),), (replace(check, outcome="not run"),)):
        found = conclude(replace(facts, checks=(*before, *others, *after)))
        assert [check.name in doubt for doubt in found.doubts] == [True], others
        assert check.host in found.doubts[0]
    both = conclude(replace(facts, checks=(*facts.checks, replace(check, outcome="failed"))))
    assert not both.passed


def test_a_check_of_another_host_does_not_count():
    facts = passing("gateway")
    moved = tuple(replace(one, host="gpu9") if one.host == "gate1" else one for one in facts.checks)
    found = conclude(replace(facts, checks=moved))
    assert len(found.doubts) == len(REQUIRED["gateway"].hosts)


def test_hosts_left_out_with_a_reason_are_no_doubt_unless_everything_was_to_come_back():
    facts = passing("gateway")
    assets = Assets((*HOSTS, "gpu2"), facts.assets.covered, (NotCovered("gpu2", "not part of it"),))
    assert conclude(replace(facts, assets=assets)).passed


def test_every_scenario_says_what_it_needs():
    assert set(REQUIRED) == set(SCENARIOS)


def test_all_snapshots_after_the_loss_are_less_than_nothing():
    facts = passing()
    later = tuple(replace(one, time=START + minutes(5)) for one in facts.recovery_points)
    assert "RPO: measured as less than nothing" in conclude(replace(facts, recovery_points=later)).doubts

"""What of a plan has changed."""

from __future__ import annotations

from rackwright.migrate.plan.plan import Plan
from rackwright.migrate.plan.plan_keys import key_digests, plan_digest

SAID = {
    "format": "migration-plan/1",
    "migration": "support",
    "intent": "why",
    "cloud": "openai",
    "models": {"gpt-4o-mini": "assistant"},
    "records": {"recipient": "age1" + "q" * 58, "identity": "file:key"},
    "replay": {"budget": 50},
    "currency": "EUR",
    "prices": {"gpt-4o-mini": {"input": 1, "output": 2}},
}


def plan(**said: object) -> Plan:
    return Plan.model_validate({**SAID, **said})


def differs(one: Plan, other: Plan) -> set[str]:
    before, after = key_digests(one), key_digests(other)
    return {key for key in {*before, *after} if before.get(key) != after.get(key)}


def test_each_key_has_its_digest() -> None:
    keys = key_digests(plan())
    assert {"cloud", "models", "prices", "waivers", "records.redact", "score.margin", "replay.hours"} <= set(keys)
    assert "models.gpt-4o-mini" not in keys
    assert {len(digest) for digest in keys.values()} == {16}


def test_only_what_changed_differs() -> None:
    assert differs(plan(), plan()) == set()
    assert differs(plan(), plan(score={"margin": 3})) == {"score.margin"}
    assert differs(plan(), plan(models={"gpt-4o-mini": "other"})) == {"models"}
    assert differs(plan(), plan(replay={"budget": 50, "hours": ["daily 20:00-06:00"]})) == {"replay.hours"}


def test_a_default_that_is_written_out_changes_nothing() -> None:
    same = plan(score={"margin": 5})
    assert plan_digest(plan()) == plan_digest(same)
    assert differs(plan(), same) == set()
    assert plan_digest(plan(intent="other")) != plan_digest(plan())


def test_costs_that_come_later_are_new_keys() -> None:
    costs = {"capital": 1000, "kilowatts": 1, "kilowatt_hour": 0.2, "staff": 10}
    found = differs(plan(), plan(costs=costs))
    assert {"costs", "costs.capital"} <= found
    assert all(key.startswith("costs") for key in found)

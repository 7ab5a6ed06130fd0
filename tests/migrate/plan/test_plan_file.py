"""A migration plan: every problem at its line, against the fleet."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.errors import FleetError
from rackwright.fleet.fleet import Fleet
from rackwright.migrate.plan.plan import Plan
from rackwright.migrate.plan.plan_file import plan_file, plans_of, read_plan
from tests.fleet.fleets import make_fleet

RECIPIENT = "age1g7ums0cmjhnklsgagjk6lzy7r05ehq8ddr8hyhflu2jxm7cjhdds2dfxfu"
"""Of a private key that nobody has."""
PLAN = f"""format: migration-plan/1
migration: support
intent: The contract with the provider ends in March.
cloud: openai
models: {{gpt-4o-mini: assistant}}
records:
  recipient: {RECIPIENT}
  identity: "cmd:pass show migration"
replay: {{budget: 50}}
currency: EUR
prices:
  gpt-4o-mini: {{input: 0.15, output: 0.6}}
"""


def fleet_in(folder: Path) -> Fleet:
    """A fleet with a cloud, and with a model that only the cloud answers."""
    fleet = make_fleet(folder / "site.yml")
    models = fleet.file.models
    file: Any = SimpleNamespace(
        models=models,
        routed={**models, "chat": None},
        clouds={"openai": SimpleNamespace(names=("gpt-4o-mini", "gpt-4o"))},
    )
    return replace(fleet, file=file)


def read(folder: Path, text: str = PLAN, fleet: Fleet | None = None, **said: Any) -> Plan:
    plan_file(folder / "site.yml", "support").write_text(text)
    return read_plan(fleet or fleet_in(folder), "support", **said)


def problems(folder: Path, text: str, **said: Any) -> list[str]:
    with pytest.raises(FleetError) as caught:
        read(folder, text, **said)
    return [str(problem).replace(f"{folder}/site.migrate-support.yml:", "") for problem in caught.value.problems]


def test_a_plan_has_what_it_says_and_the_rest_by_default(tmp_path: Path) -> None:
    plan = read(tmp_path)
    assert (plan.migration, plan.cloud, plan.models) == ("support", "openai", {"gpt-4o-mini": "assistant"})
    assert (plan.score.margin, plan.capacity.spare, plan.replay.sample) == (5, 1, 500)
    assert read(tmp_path, PLAN.replace("gpt-4o-mini: assistant", "gpt-4o-mini: chat")).models == {
        "gpt-4o-mini": "chat"
    }


def test_every_problem_is_reported_at_its_line_at_once(tmp_path: Path) -> None:
    text = (
        PLAN.replace("migration: support", "migration: other")
        .replace("cloud: openai", "cloud: opnai")
        .replace("{gpt-4o-mini: assistant}", "{gpt-4o-mini: asistant}")
        .replace("budget: 50", "budget: none")
        .replace("gpt-4o-mini: {input", "gpt-5: {input")
    )
    assert problems(tmp_path, text) == [
        "2 migration: is 'other'; should be 'support', as in the file's name",
        "4 cloud: 'opnai' is no cloud of the fleet file; did you mean 'openai'?",
        "5 models.gpt-4o-mini: 'asistant' is no model of the fleet file; did you mean 'assistant'?",
        "9 replay.budget: should be a number",
        "11 prices: has no price of gpt-4o-mini; should have one of each model in models",
    ]


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        (
            "{gpt-4o-mini: assistant}",
            "{gpt-4o-nano: assistant, gpt-4o-mini: assistant}",
            [
                "5 models.gpt-4o-nano: 'gpt-4o-nano' is no model in clouds.openai.names; did you mean 'gpt-4o-mini'?",
                "11 prices: has no price of gpt-4o-nano; should have one of each model in models",
            ],
        ),
        (
            "currency: EUR",
            "cutover: {fallback: {cost_per_hour: 5, models: [gpt-4o-mini, gpt-4]}}\ncurrency: EUR",
            ["10 cutover.fallback.models[1]: 'gpt-4' is no model in models of the plan; did you mean 'gpt-4o-mini'?"],
        ),
        (
            "currency: EUR",
            "cutover: {fallback: {cost_per_hour: 0}}\ncurrency: EUR",
            ["10 cutover.fallback.cost_per_hour: input should be greater than 0"],
        ),
        ("currency: EUR", "currency: euro", ["10 currency: should be a currency code like EUR"]),
        (
            "currency: EUR",
            "score: {judge: chat}\ncurrency: EUR",
            ["10 score.judge: 'chat' is no model that the fleet itself answers; should be one of assistant"],
        ),
        (
            "currency: EUR",
            "score: {golden: set.jsonl}\ncurrency: EUR",
            [
                "10 score.golden: is no golden set: {folder}/set.jsonl: no such file; should be the golden set, a "
                "file of JSON lines; next: rackwright schema --golden, for the keys of a line"
            ],
        ),
        (
            "replay:",
            '  redact: {ticket: "TCK-[0-9", name: ".*"}\nreplay:',
            [
                "9 records.redact.name: matches an empty text; should match at least one character",
                "9 records.redact.ticket: is not a regular expression: unterminated character set at position 4",
            ],
        ),
        (
            "currency: EUR",
            "waivers: {logprob: nobody reads them}\ncurrency: EUR",
            ["10 waivers.logprob: 'logprob' is no feature; did you mean 'logprobs'?"],
        ),
        (
            "intent: The",
            "intents: The",
            ["1: missing key 'intent'", "3 intents: unknown key; did you mean 'intent'?"],
        ),
        ("intent: The", "intent: AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQ The", None),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, old: str, new: str, found: list[str] | None) -> None:
    said = problems(tmp_path, PLAN.replace(old, new))
    if found is None:
        assert "contains an age identity" in said[0]
        assert "AGE-SECRET" not in "".join(said)
    else:
        assert said == [one.replace("{folder}", str(tmp_path)) for one in found]


@pytest.mark.parametrize("feature", ["logprobs", "context", "unknown.top_k"])
def test_a_waiver_may_name_a_feature_the_context_or_an_unknown_field(tmp_path: Path, feature: str) -> None:
    text = PLAN.replace("currency: EUR", f"waivers: {{{feature}: nobody reads it}}\ncurrency: EUR")
    assert read(tmp_path, text).waivers == {feature: "nobody reads it"}


def test_a_fleet_file_without_clouds_is_named(tmp_path: Path) -> None:
    fleet = fleet_in(tmp_path)
    fleet.file.clouds.clear()  # type: ignore[attr-defined]
    (said,) = problems(tmp_path, PLAN, fleet=fleet)
    assert said.startswith("4 cloud: the fleet file has no clouds; should have openai in clouds of ")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty; should be the migration plan"),
        ("a: 1\n---\nb: 2\n", "2: a second document starts here; a migration plan is one document; remove the ---"),
        ("- 1\n", "is not a mapping"),
        ("a: !x 1\n", "has a YAML tag (!…); remove it: a migration plan has plain values only"),
        ("[" * 40, "a migration plan needs about 6 levels"),
    ],
)
def test_errors_about_the_file_itself_call_it_a_migration_plan(tmp_path: Path, text: str, says: str) -> None:
    (said,) = problems(tmp_path, text)
    assert says in said
    assert "fleet file" not in said


def test_a_plan_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match=r"site\.migrate-other\.yml: no such file; should be the migration plan"):
        read_plan(fleet_in(tmp_path), "other")


def test_plans_are_found_by_their_names(tmp_path: Path) -> None:
    for name in ("site.migrate-b.yml", "site.migrate-a.yml", "other.migrate-c.yml", "site.migrate-D.yml", "site.yml"):
        (tmp_path / name).write_text("")
    (tmp_path / "site.migrate-a").mkdir()
    assert plans_of(tmp_path / "site.yml") == ("a", "b")
    with pytest.raises(FleetError, match="can't be read"):
        plans_of(tmp_path / "none" / "site.yml")

"""Teams in the fleet file, the tokens that they may use, and what gateways and the usage program get of them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from rackwright.errors import FleetError
from rackwright.fleet.hosts.usage import usage_of
from rackwright.fleet.keys_file import ApiKey, as_gateway_keys, may
from rackwright.fleet.load import load_fleet
from rackwright.fleet.sections.teams import Team
from rackwright.roles.gateway.settings import Settings
from rackwright.roles.usage.settings import TeamQuota
from rackwright.values.amounts import MOST_TOKENS, parse_tokens, tokens_text
from tests.fleet.test_load import GOOD
from tests.roles.test_gateway import SETTINGS

TEAMS = {
    "research": Team(tokens_per_day=20_000_000, tokens_per_month=400_000_000, priority="high"),
    "support": Team(priority="low"),
}


def key(id: str, owner: str, **more: object) -> ApiKey:
    return ApiKey.model_validate(
        {"id": id, "owner": owner, "created": datetime(2026, 12, 1, tzinfo=UTC), "sha256": "5f" * 32, **more}
    )


@pytest.mark.parametrize(
    ("written", "tokens", "shown"),
    [
        (1, 1, "1"),
        ("1234", 1234, "1234"),
        ("500k", 500_000, "500k"),
        ("500K", 500_000, "500k"),
        ("20M", 20_000_000, "20M"),
        ("1.5G", 1_500_000_000, "1500M"),
        (MOST_TOKENS, MOST_TOKENS, "1000000G"),
    ],
)
def test_tokens_are_written_as_people_write_them(written: object, tokens: int, shown: str) -> None:
    assert parse_tokens(written) == tokens
    assert tokens_text(tokens) == shown
    assert parse_tokens(shown) == tokens


@pytest.mark.parametrize(
    "written", [0, -1, True, None, 1.5, "", "M", "20 M", "-5", "20m", "1e9", MOST_TOKENS + 1, "9" * 16]
)
def test_what_is_no_number_of_tokens_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match=r"should be a number of tokens like 500k, 20M or 1[.]5G"):
        parse_tokens(written)


def test_teams_of_a_fleet_file(tmp_path: Path) -> None:
    teams = """\
teams:
  research: {tokens_per_day: 20M, tokens_per_month: 400M, priority: high}
  support: {priority: low}
"""
    (path := tmp_path / "acme.yml").write_text(GOOD + teams)
    assert load_fleet(path).file.teams == TEAMS


def test_all_mistakes_in_teams_are_named_at_once(tmp_path: Path) -> None:
    (path := tmp_path / "acme.yml").write_text(
        GOOD + "teams: {research: {tokens_per_day: lots, priority: urgent, x: 1}}\n"
    )
    with pytest.raises(FleetError) as caught:
        load_fleet(path)
    assert {problem.where.rpartition(".")[2] for problem in caught.value.problems if problem.where} == {
        "tokens_per_day",
        "priority",
        "x",
    }


def test_a_key_has_its_teams_priority_or_its_own() -> None:
    keys = (
        key("a", "research"),
        key("b", "support"),
        key("c", "nobody"),
        key("d", "research", priority="normal"),
    )
    assert [one.priority for one in as_gateway_keys(keys, TEAMS)] == [-10, 10, 0, 0]


def test_what_a_key_may_do_names_its_own_quotas() -> None:
    found = may(key("a", "research", tokens_per_day=5_000_000, tokens_per_month=1500, priority="low"))
    assert found == "all models; 5M tokens a day; 1500 tokens a month; low priority"


def test_the_usage_program_gets_the_teams_that_have_quotas() -> None:
    found = usage_of(SETTINGS, TEAMS)
    assert found is not None
    assert found.teams == (TeamQuota(team="research", tokens_per_day=20_000_000, tokens_per_month=400_000_000),)
    assert (found.gateway, found.limits_keys, found.every_seconds) == (SETTINGS.name, False, 5)
    assert usage_of(None, TEAMS) is None


def test_quotas_are_looked_at_often_only_where_there_are_any() -> None:
    def every(settings: Settings) -> int:
        found = usage_of(settings, {})
        assert found is not None
        return found.every_seconds

    limited = as_gateway_keys((key("a", "x", tokens_per_month=5),), {})
    assert every(SETTINGS) == 60
    assert every(SETTINGS.model_copy(update={"keys": limited})) == 5

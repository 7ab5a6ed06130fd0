from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from rackwright.fleet.keys_file import ApiKey, write_keys
from rackwright.fleet.load import load_fleet
from rackwright.lifecycle.check.client_access import paths_of_models, teams_without_keys
from rackwright.lifecycle.check.result import Condition, State
from tests.fleet.test_load import GOOD

TEAMS = GOOD + "teams: {research: {tokens_per_day: 20M}, support: {priority: high}}\n"


def test_the_paths_that_each_model_serves_are_listed(tmp_path: Path) -> None:
    (path := tmp_path / "acme.yml").write_text(GOOD.replace("version: b1}", "version: b10434}"))
    (found,) = paths_of_models(load_fleet(path))
    assert found == Condition(
        "controller",
        "paths",
        State.OK,
        "assistant, llama_cpp b10434: /tokenize, /v1/chat/completions, /v1/completions, /v1/messages, "
        "/v1/messages/count_tokens, /v1/responses",
    )


def test_an_older_runtime_serves_the_basic_paths_only(tmp_path: Path) -> None:
    (path := tmp_path / "acme.yml").write_text(GOOD)
    (found,) = paths_of_models(load_fleet(path))
    assert found.found == "assistant, llama_cpp b1: /v1/chat/completions, /v1/completions"


def test_a_team_that_no_keys_owner_has_is_named(tmp_path: Path) -> None:
    (path := tmp_path / "acme.yml").write_text(TEAMS)
    fleet = load_fleet(path)
    owned = ApiKey(id="ci", owner="support", created=datetime(2026, 12, 1, tzinfo=UTC), sha256="5f" * 32)
    write_keys(fleet.sibling("keys.yml"), (owned,))
    (found,) = teams_without_keys(fleet)
    assert (found.state, found.found) == (
        State.WARNING,
        "teams.research: no key has this owner, so its quotas and its priority have no effect",
    )
    assert found.next == "rackwright key add ID --owner research, or remove the team"

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rackwright.errors import FleetError
from rackwright.fleet.load import load_fleet
from rackwright.fleet.sections.objectives import Objectives, parse_milliseconds, parse_share
from tests.fleet.test_load import GOOD

TIME = "should be a time like 100ms, 1.5s or 2m"
SHARE = "should be a share from 0% to 100%, like 0.5%"


@pytest.mark.parametrize(("text", "milliseconds"), [("100ms", 100), ("1.5s", 1500), ("2s", 2000), ("1m", 60_000)])
def test_times_have_milliseconds(text, milliseconds):
    assert parse_milliseconds(text) == milliseconds


@pytest.mark.parametrize("value", [2, "2", "2 s", "-1s", "1h", "s", None, True])
def test_what_is_no_time_is_refused(value):
    with pytest.raises(ValueError, match=re.escape(TIME)):
        parse_milliseconds(value)


@pytest.mark.parametrize(("text", "share"), [("0%", 0), ("0.5%", 0.005), ("1%", 0.01), ("100%", 1)])
def test_shares_are_of_a_hundred(text, share):
    assert parse_share(text) == share


@pytest.mark.parametrize("value", [0.01, 1, "1", "101%", "-1%", "%", None])
def test_what_is_no_share_is_refused(value):
    with pytest.raises(ValueError, match=re.escape(SHARE)):
        parse_share(value)


def loaded(folder: Path, objectives: str):
    path = folder / "fleet.yml"
    path.write_text(GOOD.replace("    context: 4096\n", f"    context: 4096\n    objectives: {objectives}\n"))
    return load_fleet(path).file.models["assistant"].objectives


def test_the_load_has_defaults(tmp_path):
    assert loaded(tmp_path, "{ttft_p95: 2s, errors: 1%}") == Objectives.model_construct(
        ttft_p95=2000, errors=0.01, rate=1, requests=100, prompt_tokens=256, answer_tokens=64
    )


@pytest.mark.parametrize(
    ("objectives", "message"),
    [
        ("{ttft_p95: 2}", f"models.assistant.objectives.ttft_p95: {TIME}"),
        ("{errors: 0.01}", f"models.assistant.objectives.errors: {SHARE}"),
        ("{rate: 2}", "models.assistant.objectives: has no objective; should have one of ttft_p95, tpot_p95, "
         "latency_p95, errors"),
        ("{errors: 1%, prompt_tokens: 4000, answer_tokens: 97}", "models.assistant.objectives: prompt_tokens and "
         "answer_tokens add up to 4097, but context is 4096; a request must fit into the context"),
        ("{errors: 1%, prompt_tokens: 4090}", "models.assistant.objectives: prompt_tokens and answer_tokens "
         "add up to 4154, but context is 4096; a request must fit into the context"),
        ("{errors: 1%, ttft_p50: 1s}", "models.assistant.objectives.ttft_p50: unknown key; did you mean 'ttft_p95'?"),
    ],
)  # fmt: skip
def test_problems_are_named(tmp_path, objectives, message):
    with pytest.raises(FleetError) as error:
        loaded(tmp_path, objectives)
    assert [str(problem).partition(" ")[2] for problem in error.value.problems] == [message]


def test_a_request_may_fill_the_context(tmp_path):
    assert loaded(tmp_path, "{errors: 1%, prompt_tokens: 4000, answer_tokens: 96}")


@pytest.mark.parametrize("judged", ["objectives: {errors: 1%}", "canary: {share: [10]}"])
def test_what_judges_text_is_refused_for_embeddings(tmp_path, judged):
    path = tmp_path / "fleet.yml"
    path.write_text(GOOD.replace("    context: 4096\n", f"    context: 4096\n    task: embed\n    {judged}\n"))
    with pytest.raises(FleetError) as error:
        load_fleet(path)
    key = judged.partition(":")[0]
    assert [str(problem).partition(" ")[2] for problem in error.value.problems] == [
        f"models.assistant.{key}: {key} is for models that generate text; leave it out, with task: embed"
    ]

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.errors import FleetError
from rackwright.fleet.load import load_fleet
from rackwright.fleet.sections.canary import Canary
from tests.fleet.test_load import GOOD


def loaded(folder: Path, canary: str) -> Canary | None:
    path = folder / "fleet.yml"
    path.write_text(GOOD.replace("    context: 4096\n", f"    context: 4096\n    canary: {canary}\n"))
    return load_fleet(path).file.models["assistant"].canary


def test_what_the_fleet_file_says_is_read(tmp_path):
    canary = loaded(
        tmp_path, "{share: [1, 5.5, 25], min_duration: 10m, min_requests: 50, max_duration: 1h, golden: p.jsonl}"
    )
    assert canary is not None
    assert (canary.share, canary.min_requests) == ((1, 5.5, 25), 50)
    assert (canary.min_duration, canary.max_duration) == (600, 3600)
    assert canary.golden == "p.jsonl"


def test_a_small_share_may_be_the_first(tmp_path):
    canary = loaded(tmp_path, "{share: [0.1, 1]}")
    assert canary is not None
    assert canary.share == (0.1, 1)


def test_all_of_it_has_defaults(tmp_path):
    canary = loaded(tmp_path, "{}")
    assert canary is not None
    assert (canary.share, canary.min_duration, canary.min_requests, canary.max_duration) == ((5, 25), 600, 200, 7200)
    assert set(canary.thresholds.model_dump().values()) == {None}


def test_thresholds_are_shares(tmp_path):
    canary = loaded(tmp_path, "{thresholds: {errors: 0.5%, ttft_p95: 100%}}")
    assert canary is not None
    assert (canary.thresholds.errors, canary.thresholds.ttft_p95) == (0.005, 1.0)


@pytest.mark.parametrize(
    ("canary", "message"),
    [
        ("{share: []}", "share: is empty; should have at least one entry"),
        ("{share: [25, 5]}", "share: should increase from step to step, like [5, 25]"),
        ("{share: [5, 5]}", "share: should increase from step to step, like [5, 25]"),
        ("{share: [5, 60]}", "share[1]: should be at most 50.0"),
        ("{share: [0]}", "share[0]: should be at least 0.1"),
        ("{share: [0.1]}", "share: ends below 1 percent, too little for a verdict; should end at 1 or more"),
        ("{share: [0.1, 0.9]}", "share: ends below 1 percent, too little for a verdict; should end at 1 or more"),
        ("{min_requests: 3}", "min_requests: should be at least 20"),
        ("{min_duration: 0s}", "min_duration: should be at least 1 seconds"),
        ("{thresholds: {errors: 0%}}", "thresholds.errors: input should be greater than 0"),
        ("{thresholds: {ttft: 5%}}", "thresholds.ttft: unknown key; did you mean 'ttft_p95'?"),
        (
            "{min_duration: 1h, max_duration: 30m}",
            "max_duration is shorter than min_duration; should be at least min_duration",
        ),
        ("{shares: [5]}", "shares: unknown key; did you mean 'share'?"),
    ],
)  # fmt: skip
def test_problems_are_named(tmp_path, canary, message):
    with pytest.raises(FleetError) as error:
        loaded(tmp_path, canary)
    found = [str(problem).partition(" models.assistant.canary")[2].lstrip(".: ") for problem in error.value.problems]
    assert found == [message]

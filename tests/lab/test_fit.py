"""A model that is too large for real hosts is refused before anything there changes."""

from __future__ import annotations

import pytest

from rackwright.lab.hosts import Lab, LabFleet
from tests.lab.operator import Operator, operator

pytestmark = pytest.mark.lab
HUGE = 16_000_000
"""Tokens per request: SmolLM2 keeps 23,040 bytes for each."""


@pytest.fixture(scope="module")
def too_large(lab_fleet: LabFleet, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    made = operator(tmp_path_factory.mktemp("fit"), lab_fleet)
    written = made.path.read_text()
    (context,) = [line.strip() for line in written.splitlines() if line.strip().startswith("context:")]
    made.edit(context, f"context: {HUGE}")
    return made


def test_apply_and_plan_refuse_it_with_what_would_fit(too_large: Operator, lab: Lab):
    lab.exec("gpu1", "touch /root/fit-before; sleep 1")
    for words in (("plan",), ("apply", "--yes")):
        said = too_large(*words, check=10)
        assert "gpu1: models.assistant: doesn't fit there: 96.6 MB of weights" in said.err
        assert f"x {HUGE} tokens; the host has " in said.err
        assert "next: rackwright fit assistant" in said.err
    changed = lab.exec("gpu1", "find /etc /opt /usr /srv -xdev -newer /root/fit-before; rm /root/fit-before")
    assert changed.out == ""


def test_check_shows_it_as_a_condition_that_fails(too_large: Operator):
    conditions = too_large("check", "--json", check=12).json["conditions"]
    fits = {condition["where"]: condition for condition in conditions if condition["what"] == "fit"}
    assert {name: condition["state"] for name, condition in fits.items()} == {"gpu1": "failed", "gpu2": "failed"}
    assert "instead of" in fits["gpu1"]["next"]


def test_fit_asks_the_hosts_and_what_it_proposes_fits(too_large: Operator):
    (one,) = too_large("fit", "--json", check=12).json["models"]
    assert (one["fits"], one["engine"], one["weights"]) == (False, "llama_cpp", 96_576_768)
    assert set(one["replicas"]) == {"gpu1/assistant@1", "gpu2/assistant@1"}
    (context,) = [change["what"] for change in one["changes"] if change["what"].startswith("context: ")]
    fewer = context.removeprefix("context: ").split()[0]
    assert too_large("fit", "--context", fewer, "--json").json["unfit"] == 0
    assert too_large("fit", "--context", str(int(fewer) + 512), "--json", check=12).json["unfit"] == 1

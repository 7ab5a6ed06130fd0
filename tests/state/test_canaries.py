from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rackwright.errors import RackwrightError
from rackwright.state import series
from rackwright.state.canaries import (
    CanaryVerdict,
    Progress,
    Trial,
    read_trial,
    read_verdicts,
    write_trial,
    write_verdict,
)
from rackwright.state.formats import utc_now
from rackwright.state.lease_session import hold, owner
from rackwright.verdict.decide import decide
from tests.verdict.simulated import EQUAL, Size, evidence

ROLLOUT = "20261127T031500Z-a1b2"


def verdict(**said: Any) -> CanaryVerdict:
    seen = evidence(np.random.default_rng(1), EQUAL, size=Size(40, 20, 30))
    told = {
        "run": ROLLOUT,
        "rollout": ROLLOUT,
        "what": "model update assistant",
        "when": utc_now(),
        "who": "ada",
        "model": "assistant",
        "replica": "gpu1/assistant@1",
        "before": "a" * 64,
        "after": "b" * 64,
        "share": 25,
        "outcome": "PASS",
        "why": "all is well",
        "verdict": decide(seen),
    }
    return CanaryVerdict(**{**told, **said})


def test_verdicts_come_back_whole_in_the_order_of_time(file_store):
    first, second = verdict(), verdict(run="20261128T010214Z-0000", outcome="FAIL", verdict=None, golden="f" * 64)
    for one in (second, first):
        write_verdict(file_store, one)
    assert read_verdicts(file_store, "assistant") == (first, second)
    assert read_verdicts(file_store, "other") == ()
    files = (Path(file_store.folder).parent / "canaries/assistant").iterdir()
    assert not [path.name for path in files if path.name.startswith(".")]


def test_what_a_run_says_last_of_its_canary_stands(store):
    for outcome in ("open", "INCONCLUSIVE"):
        write_verdict(store, verdict(outcome=outcome))
    assert [one.outcome for one in read_verdicts(store, "assistant")] == ["INCONCLUSIVE"]


def test_the_oldest_go_when_there_are_too_many(store, monkeypatch):
    monkeypatch.setattr(series, "KEPT", 2)
    for number in range(4):
        write_verdict(store, verdict(run=f"r{number}", verdict=None))
    assert [one.run for one in read_verdicts(store, "assistant")] == ["r2", "r3"]


def test_one_of_a_newer_rackwright_is_refused(file_store):
    write_verdict(file_store, verdict())
    (path,) = (Path(file_store.folder).parent / "canaries/assistant").iterdir()
    path.write_text(path.read_text().replace("canary/1", "canary/2"))
    with pytest.raises(RackwrightError, match=r"was written by a newer rackwright \(canary/2\)"):
        read_verdicts(file_store, "assistant")


def test_how_far_it_is_stands_on_the_control_host(store):
    assert read_trial(store, ROLLOUT) == Trial(rollout=ROLLOUT)
    with hold(store, owner("ada", "laptop", "update")) as lease_session:
        models = {"assistant": Progress(replica="gpu1/assistant@1", step=1)}
        write_trial(lease_session, Trial(rollout=ROLLOUT, models=models))
    assert read_trial(store, ROLLOUT).models == models
    assert read_trial(store, "20261126T031500Z-ffff").models == {}

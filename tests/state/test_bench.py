from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.errors import RackwrightError
from rackwright.state import series
from rackwright.state.bench import read_benches, write_bench
from tests.lifecycle.bench.steps import bench, step


def test_measurements_come_back_in_the_order_of_time(file_store):
    first = bench(step(1), knee=step(2, errors={"HTTP 503": 1}), searched=True, run="20261126T010214Z-ffff")
    second = bench(run="20261127T010214Z-0000")
    write_bench(file_store, second)
    write_bench(file_store, first)
    assert read_benches(file_store, "assistant") == (first, second)
    files = (Path(file_store.folder).parent / "bench/assistant").iterdir()
    assert not [path.name for path in files if path.name.startswith(".")]


def test_of_a_model_that_was_never_measured_nothing_is_kept(store):
    write_bench(store, bench())
    assert read_benches(store, "other") == ()


def test_the_oldest_go_when_there_are_too_many(store, monkeypatch):
    monkeypatch.setattr(series, "KEPT", 2)
    for number in range(4):
        write_bench(store, bench(run=f"r{number}"))
    assert [found.run for found in read_benches(store, "assistant")] == ["r2", "r3"]


def test_what_a_controller_writes_whose_clock_is_behind_stays(store, monkeypatch):
    monkeypatch.setattr(series, "KEPT", 2)
    for run in ("20261126T010214Z-ffff", "20261127T010214Z-ffff", "20260101T000000Z-ffff"):
        write_bench(store, bench(run=run))
    kept = read_benches(store, "assistant")
    assert [found.run for found in kept] == ["20260101T000000Z-ffff", "20261127T010214Z-ffff"]


def test_one_of_a_newer_rackwright_is_refused_and_unknown_keys_are_not(file_store):
    write_bench(file_store, bench())
    (path,) = (Path(file_store.folder).parent / "bench/assistant").iterdir()
    path.write_text(path.read_text().replace('"who"', '"mood": 1, "who"'))
    assert read_benches(file_store, "assistant") == (bench(),)
    path.write_text(path.read_text().replace("bench/1", "bench/9"))
    with pytest.raises(
        RackwrightError,
        match=r"Z-3949\.json on gate1: was written by a newer rackwright \(bench/9\); this rackwright reads up",
    ):
        read_benches(file_store, "assistant")


def test_what_is_judged_is_the_knee_or_the_only_step():
    assert bench(step(1)).judged == step(1)
    assert bench(step(1), step(2), knee=step(2), searched=True).judged == step(2)


def test_of_a_steps_requests_the_share_that_failed_is_told():
    assert step(2, errors={"HTTP 503": 1, "timeout": 2}).failed == 3
    failed = step(2, errors={"HTTP 503": 1})
    assert failed.error_share == 1 / failed.requests
    assert step(2).model_copy(update={"requests": 0}).error_share == 0.0

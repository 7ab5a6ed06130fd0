"""Restores from an append-only rest-server, and that the benchmark of faults finds what it counts."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from benchmarks.restore_faults.hosts import NETWORK, sabotaged
from benchmarks.restore_faults.judge import Outcome, Verdict
from benchmarks.restore_faults.kills import failed
from benchmarks.restore_faults.saved_host import SavedHost, saved_host
from benchmarks.restore_faults.snapshots import ASKED
from benchmarks.restore_faults.trial import Fault, Trial, judged
from rackwright.lifecycle.restore import in_place, staging


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SavedHost]:
    with saved_host(tmp_path_factory.mktemp("saved") / "rest", served=True) as made:
        yield made


def tried(host: SavedHost, fault: Fault, seed: int = 1) -> Verdict:
    with host.trial(seed) as bench:
        return judged(Trial(host, bench, Random(seed)), fault)  # noqa: S311


def test_a_host_is_restored_from_a_server_with_its_weights(host: SavedHost) -> None:
    assert tried(host, Fault(lambda _: None, "")).outcome is Outcome.RESTORED


@pytest.mark.parametrize("fault", [name for name in NETWORK if name != "the network is cut for a moment"])
def test_if_the_server_can_not_be_used_the_next_repository_is_and_the_fault_is_named(
    host: SavedHost, fault: str
) -> None:
    assert tried(host, NETWORK[fault]).outcome is Outcome.ELSEWHERE


def test_a_host_that_serves_is_left_alone_with_yes(host: SavedHost) -> None:
    assert tried(host, ASKED["a host that serves"]).outcome is Outcome.REFUSED


def test_a_program_of_the_host_that_fails_once_leaves_a_restore_that_completes_and_can_be_undone(
    host: SavedHost,
) -> None:
    # Calls that switch the state in, or are about to: a restore makes about 135.
    assert [failed(host, _At(call), 1000) for call in (70, 95, 120)] == [""] * 3


class _At(Random):
    """Chooses this call."""

    def __init__(self, call: int) -> None:
        super().__init__(call)
        self.call = call

    def randrange(self, *given: int) -> int:  # type: ignore[override]
        return self.call if given == (1000,) else 1


def test_a_restore_whose_guards_are_gone_counts_as_a_false_success(
    host: SavedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_place, "refuse_incomplete", lambda *_: None)
    lost = sabotaged('REAL; find "$target" -path "*/e0/journal" -delete; exit 0')
    verdict = tried(host, Fault(lost, ""))
    assert verdict.outcome is Outcome.FALSE
    assert "evidence/e0/journal is missing" in verdict.why


def test_a_refused_restore_that_changed_the_state_counts_as_one(
    host: SavedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoiled(shell: object, *_: object) -> None:
        shell.put({"evidence/here": "spoiled"})  # type: ignore[attr-defined]
        raise staging.NotRestored("not complete", where="gate1")

    monkeypatch.setattr(in_place, "refuse_incomplete", spoiled)
    assert tried(host, Fault(lambda _: None, "")).outcome is Outcome.FALSE

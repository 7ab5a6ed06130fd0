"""What is fetched to one host before the others, and in which order."""

from __future__ import annotations

from typing import Any

import pytest

from rackwright.deploys.serve import own_weights, ready_for_p2p
from rackwright.lifecycle.p2p import prefetch
from rackwright.lifecycle.p2p.prefetch import prefetch_weights
from rackwright.lifecycle.p2p.receivers import is_supplied
from rackwright.roles.model_store.settings import Settings as ModelStore
from rackwright.run import Run
from tests.lifecycle.p2p.hosts import MODEL, Console, World

OWN = ModelStore(models=(MODEL,))
READS = ModelStore(models=(MODEL.model_copy(update={"writer": "a"}),))


def changes(
    session: Any, monkeypatch: pytest.MonkeyPatch, *, failing: tuple[str, ...] = ()
) -> tuple[list[tuple[str, ...]], Run]:
    """Return the changes with their hosts, in order, and the run; p2p itself asks the host `a` to fetch."""
    done: list[tuple[str, ...]] = []

    def change(deploy: Any, hosts: tuple[str, ...]) -> Run:
        done.append(({ready_for_p2p: "ready", own_weights: "own weights"}[deploy], *hosts))
        return Run(unreachable={host: "gone" for host in hosts if host in failing})

    def transfer(session: Any, hosts: tuple[str, ...], console: object, stopping: object, fetch: Any) -> tuple[()]:
        done.append(("stage", *hosts))
        assert fetch("a") is ("a" not in failing)
        return ()

    monkeypatch.setattr(prefetch, "transfer", transfer)
    found = prefetch_weights(session, session.hosts, Console(), lambda: False, change)  # type: ignore[arg-type]
    return done, found.run


def world(**stores: ModelStore) -> Any:
    return World(dict.fromkeys(stores), {}).session(**stores)  # type: ignore[arg-type]


def test_hosts_are_made_ready_then_weights_go_round_then_who_writes_for_others_has_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done, run = changes(world(a=OWN, b=READS, c=OWN), monkeypatch)
    assert done == [("ready", "a", "b", "c"), ("stage", "a", "b", "c"), ("own weights", "a"), ("own weights", "a")]
    assert run.failed_hosts == ()


def test_a_host_that_failed_is_in_the_run_and_takes_no_further_part(monkeypatch: pytest.MonkeyPatch) -> None:
    done, run = changes(world(a=OWN, b=OWN), monkeypatch, failing=("a",))
    assert done == [("ready", "a", "b"), ("stage", "b"), ("own weights", "a")]
    assert run.failed_hosts == ("a",)


def test_a_host_is_supplied_where_it_gets_weights_by_another_alone() -> None:
    session = world(a=OWN, b=OWN)
    assert is_supplied(session, ("a",))
    for model in session.hosts.values():
        model.p2p = None
    assert not is_supplied(session, ("a", "b"))
    session.hosts["b"].model_store = READS
    assert is_supplied(session, ("a", "b"))


def test_each_that_writes_for_others_has_it_before_they_read_and_none_of_them_reads_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    coder = MODEL.model_copy(update={"name": "coder"})
    one = ModelStore(models=(MODEL, coder.model_copy(update={"writer": "b"})))
    two = ModelStore(models=(MODEL.model_copy(update={"writer": "a"}), coder))
    done, _ = changes(world(a=one, b=two), monkeypatch)
    assert done[-1] == ("own weights", "a", "b")
    assert (one.own.models, two.own.models) == ((MODEL,), (coder,))

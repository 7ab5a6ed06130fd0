"""The controller is killed before and after each write to the control host; another one resumes, or aborts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

from rackwright.errors import RackwrightError
from rackwright.lifecycle.reboot.procedure import Work, complete, serve_as_they_run
from tests.lifecycle.patch.hosts import FAILED, UNIT, Bench, Dead, bench_of

MOMENTS = [(number, written) for number in range(1, 22) for written in (False, True)]
"""Two hosts with eight phases, a reboot and a proof each; then the rollout is closed."""


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return bench_of(monkeypatch)


def killed(bench: Bench, number: int, *, written: bool) -> Work:
    """Patch and reboot two hosts, and die at this write after the rollout was opened."""
    work = bench.opened("gpu1", "gpu2", reboots=True)
    opened = bench.store.writes

    def fault(at: int, now_written: bool) -> None:
        if (at - opened, now_written) == (number, written):
            raise Dead

    bench.store.fault = fault
    with pytest.raises(Dead):
        complete(work)
    bench.store.fault = lambda *_: None
    return work


def settled(bench: Bench) -> None:
    assert not bench.open
    assert bench.traffic.drained == set()
    for host in bench.hosts.values():
        held, released = host.events.count("hold_off"), host.events.count("finish") + host.events.count("let_go")
        assert not held or released, f"{host.name}: apt's timers stay stopped"


@pytest.mark.parametrize(("number", "written"), MOMENTS)
def test_a_run_that_is_resumed_ends_as_if_it_had_not_been_killed(bench: Bench, number: int, written: bool) -> None:
    work = killed(bench, number, written=written)
    if bench.open:
        complete(bench.again(work))
    settled(bench)
    for name in ("gpu1", "gpu2"):
        host = bench.hosts[name]
        assert (host.installed, host.finished, host.boots) == (True, True, 1)
        assert host.events.count("install") == 1


@pytest.mark.parametrize(("number", "written"), MOMENTS)
def test_a_run_that_is_aborted_leaves_nothing_drained_and_reboots_nothing(
    bench: Bench, number: int, written: bool
) -> None:
    work = killed(bench, number, written=written)
    boots = {name: host.boots for name, host in bench.hosts.items()}
    if bench.open:
        serve_as_they_run(bench.again(work), "not tonight")
    settled(bench)
    assert {name: host.boots for name, host in bench.hosts.items()} == boots


@pytest.mark.parametrize(("number", "written"), [(n, w) for n in range(4, 10) for w in (False, True)])
def test_a_killed_way_back_is_gone_to_its_end(bench: Bench, number: int, written: bool) -> None:
    """The first host isn't as before; the writes from the fourth on are those of its proof and its way back."""
    bench.hosts["gpu1"].after = FAILED
    work = bench.opened("gpu1", "gpu2", reboots=True)
    opened = bench.store.writes

    def fault(at: int, now_written: bool) -> None:
        if (at - opened, now_written) == (number, written):
            raise Dead

    bench.store.fault = fault
    with suppress(Dead, RackwrightError):
        complete(work)
    bench.store.fault = lambda *_: None
    while bench.open:
        with suppress(RackwrightError):
            complete(bench.again(work))
    settled(bench)
    assert not bench.hosts["gpu1"].installed
    assert bench.hosts["gpu2"].events == []


@pytest.mark.parametrize("newest", [None, "6.13"])
def test_a_way_back_that_is_resumed_reboots_once_however_often_it_is_resumed(
    bench: Bench, newest: str | None
) -> None:
    host = bench.hosts["gpu1"]
    host.after, host.newest, host.dies = FAILED, newest, "let_go"
    work = bench.opened("gpu1", reboots=True)
    with pytest.raises(Dead):
        complete(work)
    forward_and_back = host.boots
    assert forward_and_back == 2
    # The host refuses to install packages again that were reverted.
    host.fails = ("install",)
    for _ in range(3):
        host.dies = "let_go"
        with suppress(Dead, RackwrightError):
            complete(bench.again(work))
    assert host.boots == forward_and_back


def test_a_host_that_was_on_its_way_back_is_not_proven_with_the_new_packages(bench: Bench) -> None:
    """The old kernel has booted when the controller dies; there, the host would be as before."""
    host = bench.hosts["gpu1"]
    host.newest, host.after = "6.13", FAILED
    work = bench.opened("gpu1", reboots=True)
    with pytest.raises(Dead):
        dying_at(bench, work, lambda: host.boots == 2)
    host.after = UNIT
    with pytest.raises(RackwrightError, match="is on its way back: not proven"):
        complete(bench.again(work))
    settled(bench)
    assert (host.installed, host.finished) == (False, False)


def dying_at(bench: Bench, work: Work, moment: Callable[[], bool]) -> None:
    """Carry the run out, and die before the first write, or step on the host, from this moment on."""
    host = bench.hosts["gpu1"]
    done = host.done

    def watched(what: str) -> None:
        if moment():
            raise Dead
        done(what)

    host.done = watched  # type: ignore[method-assign]
    try:
        complete(work)
    finally:
        host.done = done  # type: ignore[method-assign]

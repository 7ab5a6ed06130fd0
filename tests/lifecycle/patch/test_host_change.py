"""A host that is patched: its gates, packages, reboot, proof, and the way back."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from rackwright.errors import LeasedError, ProofError, RackwrightError
from rackwright.lifecycle.patch.alerts import Alert, Alerts
from rackwright.lifecycle.reboot.procedure import complete, serve_as_they_run
from rackwright.lifecycle.rollout.change import Paused, Phase
from rackwright.state import lease_session
from rackwright.state.journal import Event
from tests.lifecycle.patch.hosts import FAILED, Bench, Dead, bench_of
from tests.lifecycle.patch.seen import clock, seen

PATCHED = ["settle", "stage", "keep", "hold_off", "hold the kernel", "install", "commit", "finish"]
CLOSED = seen(clocks=dict.fromkeys(("gate1", "gpu1", "gpu2"), clock(offset=301)))


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return bench_of(monkeypatch)


def test_packages_are_staged_and_kept_before_they_are_installed_and_committed_after_the_proof(bench: Bench) -> None:
    assert complete(bench.opened("gpu1", "gpu2")) == ("gpu1", "gpu2")
    assert {bench.hosts[name].events == PATCHED for name in ("gpu1", "gpu2")} == {True}
    assert bench.phases("gpu1") == ["gate", "drain", "act", *["prove"] * 2, "commit", "undrain", "soak", "done"]
    assert bench.acts[0] == "gpu1: install 1 package"
    assert (bench.open, bench.traffic.drained) == (False, set())


def test_a_new_kernel_is_armed_after_the_installation_and_committed_after_the_proof(bench: Bench) -> None:
    host = bench.hosts["gpu1"]
    host.newest = "6.13"
    complete(bench.opened("gpu1", reboots=True))
    assert host.events == [*PATCHED[:6], "arm 6.13", "reboot", *PATCHED[6:]]


def test_a_host_whose_driver_the_lock_decides_boots_the_kernel_of_the_lock(bench: Bench) -> None:
    bench.hosts["gpu1"].newest = "6.99"
    bench.drivers["gpu1"] = SimpleNamespace(kernel="6.13")
    complete(bench.opened("gpu1", reboots=True))
    assert "arm 6.13" in bench.hosts["gpu1"].events


@pytest.mark.parametrize(("asks", "may", "boots"), [(True, True, 1), (True, False, 0), (False, True, 0)])
def test_what_asks_for_a_reboot_only_once_it_is_installed_gets_one_if_reboots_are_allowed(
    bench: Bench, asks: bool, may: bool, boots: int
) -> None:
    bench.hosts["gpu1"].asks = asks
    complete(bench.opened("gpu1", may_reboot=may))
    assert bench.hosts["gpu1"].boots == boots


def test_services_on_replaced_libraries_are_restarted_unless_the_host_reboots(bench: Bench) -> None:
    for name in ("gpu1", "gpu2"):
        bench.hosts[name].stale = True
    bench.hosts["gpu2"].asks = True
    complete(bench.opened("gpu1", "gpu2", may_reboot=True))
    assert bench.hosts["gpu1"].events == [*PATCHED[:6], "restart services", *PATCHED[6:]]
    assert "restart services" not in bench.hosts["gpu2"].events
    assert "gpu1: restart services on replaced libraries: small.service" in bench.acts
    assert "gpu1  run on replaced libraries until a reboot: dbus.service" in bench.said


def test_they_are_restarted_after_a_revert_too(bench: Bench) -> None:
    bench.hosts["gpu1"].stale, bench.hosts["gpu1"].fails = True, ("install",)
    with pytest.raises(RackwrightError):
        complete(bench.opened("gpu1"))
    assert bench.hosts["gpu1"].events[-3:] == ["revert", "restart services", "let_go"]


# The lease.


@pytest.mark.parametrize("step", ["stage", "keep", "hold_off", "install"])
def test_nothing_more_is_changed_after_a_step_during_which_another_operator_has_taken_the_lease(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(lease_session, "FRESH_SECONDS", -1)
    host = bench.hosts["gpu1"]
    host.newest, host.sleeps, host.taken = "6.13", step, bench.lease_session
    with pytest.raises(LeasedError):
        complete(bench.opened("gpu1", reboots=True))
    assert host.events[-1] == step


@pytest.mark.parametrize("step", ["install", "revert"])
def test_without_the_lease_no_service_is_restarted(bench: Bench, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    monkeypatch.setattr(lease_session, "FRESH_SECONDS", -1)
    host = bench.hosts["gpu1"]
    host.stale, host.sleeps, host.taken = True, step, bench.lease_session
    host.fails = ("install",) if step == "revert" else ()
    with pytest.raises(LeasedError):
        complete(bench.opened("gpu1"))
    assert host.events[-1] == step


def test_a_way_back_that_has_lost_the_lease_starts_no_timers(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_session, "FRESH_SECONDS", -1)
    host = bench.hosts["gpu1"]
    host.fails, host.sleeps, host.taken = ("install",), "revert", bench.lease_session
    with pytest.raises(LeasedError):
        complete(bench.opened("gpu1"))
    assert host.events[-1] == "revert"


# Gates.


def test_a_gate_that_closes_midway_ends_the_run_before_the_host_is_drained(bench: Bench) -> None:
    bench.looks = [seen(), CLOSED]
    with pytest.raises(Paused, match=r"gate clock: it is 5 min 1 s ahead") as error:
        complete(bench.opened("gpu1", "gpu2"))
    assert "done: gpu1" in str(error.value)
    assert (bench.phases("gpu2"), bench.hosts["gpu2"].events) == (["gate"], [])
    assert not bench.open


def test_all_closed_gates_are_named(bench: Bench) -> None:
    unwell = seen(clocks=CLOSED.clocks, alerts=Alerts(firing=(alert("gpu2"),)))
    bench.looks = [unwell]
    with pytest.raises(Paused) as error:
        complete(bench.opened("gpu1"))
    assert [problem.what.split(":")[0] for problem in error.value.problems] == ["gate alerts", "gate clock"]


def alert(host: str) -> Alert:
    return Alert({"alertname": "Hot", "instance": host})


def test_an_alert_about_a_finished_host_keeps_the_next_one_from_starting(bench: Bench) -> None:
    bench.looks = [seen(), seen(alerts=Alerts(firing=(alert("gpu1"),)))]
    with pytest.raises(Paused, match="gate alerts: 1 alert fires"):
        complete(bench.opened("gpu1", "gpu2"))
    assert bench.hosts["gpu2"].events == []


@pytest.mark.parametrize(
    ("phases", "judged"),
    [
        ((Phase.DRAIN,), False),
        ((Phase.DRAIN, Phase.ACT, Phase.PROVE), False),
        ((Phase.DRAIN, Phase.ACT, Phase.DONE), False),
        ((Phase.GATE,), True),
        ((Phase.DRAIN, Phase.UNDRAIN, Phase.DONE), True),
    ],
)
def test_a_host_that_was_started_is_finished_whatever_the_gates_say(
    bench: Bench, phases: tuple[Phase, ...], judged: bool
) -> None:
    work = bench.opened("gpu1")
    for phase in phases:
        work.lease_session.write(Event.INTENT, work.rollout.id, subject="gpu1", phase=phase)
    bench.looks = [CLOSED]
    if judged:
        with pytest.raises(Paused):
            complete(bench.again(work))
    else:
        assert complete(bench.again(work)) == ("gpu1",)


# The way back.


def test_packages_without_a_way_back_are_not_installed(bench: Bench) -> None:
    host = bench.hosts["gpu1"]
    host.none = ("openssl:all",)
    with pytest.raises(RackwrightError, match="could not be reverted") as error:
        complete(bench.opened("gpu1", "gpu2"))
    assert "openssl:all" in str(error.value)
    assert "install" not in host.events
    assert (bench.hosts["gpu2"].events, bench.open, bench.traffic.drained) == ([], False, set())


def test_a_failed_installation_is_reverted_without_a_reboot_and_the_run_ends(bench: Bench) -> None:
    host = bench.hosts["gpu1"]
    host.fails = ("install",)
    with pytest.raises(RackwrightError, match="install failed") as error:
        complete(bench.opened("gpu1", "gpu2", reboots=True))
    assert "it was reverted, and its engines answer" in str(error.value)
    assert host.events == [*PATCHED[:6], "revert", "let_go"]
    assert (host.boots, bench.hosts["gpu2"].events, bench.open, bench.traffic.drained) == (0, [], False, set())


def test_what_is_worse_after_the_reboot_brings_back_the_old_kernel_then_the_packages(bench: Bench) -> None:
    host = bench.hosts["gpu1"]
    host.newest, host.after = "6.13", FAILED
    with pytest.raises(ProofError, match=r"not proven after .* small\.service has failed; it ran before"):
        complete(bench.opened("gpu1", "gpu2", reboots=True))
    assert host.events[6:] == ["arm 6.13", "reboot", "disarm", "reboot", "revert", "let_go"]
    assert (host.boots, bench.open) == (2, False)


def test_packages_that_ran_since_a_boot_are_reverted_and_booted_out(bench: Bench) -> None:
    host = bench.hosts["gpu1"]
    host.after = FAILED
    with pytest.raises(ProofError):
        complete(bench.opened("gpu1", reboots=True))
    assert host.events[6:] == ["reboot", "revert", "reboot", "let_go"]


def test_a_kernel_that_fell_back_needs_no_further_boot(bench: Bench) -> None:
    host = bench.hosts["gpu1"]
    host.newest, host.hangs = "6.13", True
    with pytest.raises(ProofError, match=r"didn't boot 6\.13 and fell back"):
        complete(bench.opened("gpu1", "gpu2", reboots=True))
    assert host.events[6:] == ["arm 6.13", "reboot", "disarm", "revert", "let_go"]
    assert (host.boots, bench.hosts["gpu2"].events) == (1, [])


def test_a_host_that_can_not_be_reverted_stays_drained_and_the_run_open(bench: Bench) -> None:
    host = bench.hosts["gpu1"]
    host.fails = ("install", "revert")
    with pytest.raises(RackwrightError, match="could not be reverted and stays drained: revert failed"):
        complete(bench.opened("gpu1", "gpu2"))
    assert (bench.open, bench.traffic.drained) == (True, {"gpu1/assistant@1"})
    assert bench.hosts["gpu2"].events == []


def test_a_host_that_is_as_before_again_is_proven_by_what_it_was_like(bench: Bench) -> None:
    host = bench.hosts["gpu1"]
    host.fails = ("install",)
    with pytest.raises(RackwrightError):
        complete(bench.opened("gpu1"))
    reverted = [entry.detail for entry in bench.journal() if entry.phase == Phase.DONE]
    assert reverted == ["reverted: its engines answer"]


# Resume and abort.


@pytest.mark.parametrize("step", ["stage", "install", "reboot", "finish"])
def test_what_is_done_is_not_done_again(bench: Bench, step: str) -> None:
    """The controller dies at a step; another one resumes."""
    host = bench.hosts["gpu1"]
    host.dies = step
    work = bench.opened("gpu1", reboots=True)
    with pytest.raises(Dead):
        complete(work)
    assert bench.open
    host.events.clear()
    assert complete(bench.again(work)) == ("gpu1",)
    assert host.boots == 1
    assert host.events[0] == "settle"
    assert ("install" in host.events) == (step in ("stage", "install"))
    assert (bench.open, bench.traffic.drained) == (False, set())


def test_on_a_host_that_was_committed_no_service_is_restarted_again(bench: Bench) -> None:
    host = bench.hosts["gpu1"]
    host.stale, host.dies = True, "finish"
    work = bench.opened("gpu1")
    with pytest.raises(Dead):
        complete(work)
    host.events.clear()
    host.finished = True
    assert complete(bench.again(work)) == ("gpu1",)
    assert host.events == ["settle", "commit", "finish"]
    assert (bench.open, bench.traffic.drained) == (False, set())


def test_a_host_that_crashed_in_its_installation_still_gets_its_reboot(bench: Bench) -> None:
    host = bench.hosts["gpu1"]
    host.dies = "install"
    work = bench.opened("gpu1", reboots=True)
    with pytest.raises(Dead):
        complete(work)
    host.boots += 1
    complete(bench.again(work))
    assert host.boots == 2


def test_a_host_that_crashed_after_its_installation_has_had_its_reboot(bench: Bench) -> None:
    host = bench.hosts["gpu1"]
    host.dies = "reboot"
    work = bench.opened("gpu1", reboots=True)
    with pytest.raises(Dead):
        complete(work)
    host.boots += 1
    complete(bench.again(work))
    assert host.boots == 1


def test_a_host_that_crashed_before_its_new_kernel_was_armed_still_boots_it(bench: Bench) -> None:
    host = bench.hosts["gpu1"]
    host.newest, host.dies = "6.13", "install"
    work = bench.opened("gpu1", reboots=True)
    with pytest.raises(Dead):
        complete(work)
    host.installed = True
    host.boots += 1
    complete(bench.again(work))
    assert (host.boots, host.running) == (2, "6.13")


def test_on_a_host_that_crashed_in_its_installation_services_are_restarted_too(bench: Bench) -> None:
    host = bench.hosts["gpu1"]
    host.stale, host.dies = True, "install"
    work = bench.opened("gpu1")
    with pytest.raises(Dead):
        complete(work)
    host.boots += 1
    host.events.clear()
    complete(bench.again(work))
    assert "restart services" in host.events


def test_a_finished_host_is_left_alone_and_the_others_are_patched(bench: Bench) -> None:
    work = bench.opened("gpu1", "gpu2")
    bench.hosts["gpu2"].dies = "install"
    with pytest.raises(Dead):
        complete(work)
    bench.hosts["gpu1"].events.clear()
    assert complete(bench.again(work)) == ("gpu2",)
    assert bench.hosts["gpu1"].events == []


def test_a_host_of_unknown_state_keeps_its_slot_and_no_other_starts(bench: Bench) -> None:
    work = bench.opened("gpu1", "gpu2")
    bench.hosts["gpu1"].gone = True
    with pytest.raises(Paused, match="the state of these hosts isn't known"):
        complete(work)
    assert (bench.open, bench.hosts["gpu2"].events) == (True, [])


def test_an_aborted_run_waits_for_the_step_and_starts_the_timers_again(bench: Bench) -> None:
    host = bench.hosts["gpu1"]
    host.dies = "install"
    work = bench.opened("gpu1", "gpu2")
    with pytest.raises(Dead):
        complete(work)
    host.events.clear()
    serve_as_they_run(bench.again(work), "no time")
    assert host.events == ["settle", "let_go"]
    assert (bench.open, bench.traffic.drained, bench.hosts["gpu2"].events) == (False, set(), [])


def test_an_aborted_run_lets_go_of_a_host_that_it_has_not_drained_itself(bench: Bench) -> None:
    """An operator drained its replica before, or it has none."""
    host = bench.hosts["gpu1"]
    bench.traffic.manual = {"gpu1/assistant@1"}
    host.dies = "install"
    work = bench.opened("gpu1")
    with pytest.raises(Dead):
        complete(work)
    host.events.clear()
    bench.traffic.drained.clear()
    serve_as_they_run(bench.again(work), "no time")
    assert host.events == ["settle", "let_go"]
    assert not bench.open


def test_a_run_stays_open_while_a_host_serves_without_a_proof(bench: Bench) -> None:
    """An admin undrains it at HAProxy's socket although it could not be reverted."""
    host = bench.hosts["gpu1"]
    host.after, host.fails = FAILED, ("revert",)

    def undrained(_: int, written: bool) -> None:
        if written and bench.journal()[-1].phase == Phase.DONE:
            bench.traffic.drained.clear()

    work = bench.opened("gpu1")
    bench.store.fault = undrained
    with pytest.raises(RackwrightError, match="stays open"):
        complete(work)
    assert bench.open
    host.fails = ()
    with pytest.raises(RackwrightError, match="it was reverted"):
        complete(bench.again(work))
    assert not bench.open

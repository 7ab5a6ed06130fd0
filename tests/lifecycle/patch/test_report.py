"""The report of patch runs over stand-ins for hosts: the rules, the journal and the plan are real."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC
from zoneinfo import ZoneInfo

import pytest

from rackwright.errors import RackwrightError
from rackwright.lifecycle.patch.asked import Asked
from rackwright.lifecycle.patch.document import Cve, PlannedHost, Stays, read_plan
from rackwright.lifecycle.patch.report.deviations import Calendar, deviations
from rackwright.lifecycle.patch.report.run_report import HostReport, Outcome, Report, Versions, report
from rackwright.lifecycle.reboot.procedure import Work, complete, serve_as_they_run
from rackwright.values.windows import parse_window
from tests.lifecycle.patch.hosts import FAILED, Bench, Dead, bench_of

ALWAYS = Calendar((), (), UTC)
CLOSES, LEAVES = Cve(id="CVE-2026-1", package="openssl"), Cve(id="CVE-2026-2", package="bash")


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = bench_of(monkeypatch)
    made.known = tuple(
        PlannedHost(name=name, offered=1, closes=(CLOSES,), leaves=(LEAVES,)) for name in ("gpu1", "gpu2")
    )
    return made


def ran(bench: Bench, work: Work) -> Report:
    """Carry the run out as far as it gets."""
    with suppress(RackwrightError):
        complete(work)
    return reported(bench, work)


def reported(bench: Bench, work: Work) -> Report:
    own = [entry for entry in bench.journal() if entry.rollout == work.rollout.id]
    plan = read_plan(bench.store, work.rollout.id)
    assert plan.rollout == work.rollout
    return report("acme", plan.rollout, plan, own)


def host(made: Report, name: str = "gpu1") -> HostReport:
    return next(one for one in made.hosts if one.host == name)


def said(made: Report, calendar: Calendar = ALWAYS) -> list[tuple[str | None, str]]:
    return [(one.host, one.what) for one in deviations(made, calendar)]


def test_a_host_that_was_patched_and_rebooted(bench: Bench) -> None:
    bench.hosts["gpu1"].newest = "6.13"
    made = ran(bench, bench.opened("gpu1", reboots=True))
    found = host(made)
    assert (found.outcome, found.kernel, found.driver) == (
        Outcome.PATCHED,
        Versions("6.12", "6.13"),
        Versions(None, None),
    )
    (package,) = found.packages
    assert (package.before, package.after, package.known, package.closes) == ("3.0", "3.1", True, ("CVE-2026-1",))
    assert (found.closed, found.open) == (("CVE-2026-1",), ("CVE-2026-2",))
    assert [one.why for one in found.reboots] == ["1 package"]
    assert found.drained
    assert found.undrained
    assert made.who == "ada@desk"
    assert [one.who for one in made.controllers] == ["ada@desk"]
    assert (made.how, made.closed is None) == ("done", False)
    assert said(made) == [("gpu2", "left out, though it had something to change")]


def test_a_host_that_was_reverted_is_as_before_and_the_next_one_unchanged(bench: Bench) -> None:
    bench.hosts["gpu1"].after = FAILED
    made = ran(bench, bench.opened("gpu1", "gpu2", reboots=True))
    first, second = host(made), host(made, "gpu2")
    assert (first.outcome, second.outcome) == (Outcome.REVERTED, Outcome.UNCHANGED)
    assert [(one.packages[0].after, one.packages[0].known) for one in (first, second)] == [("3.0", True)] * 2
    assert [(one.closed, one.open) for one in (first, second)] == [((), ("CVE-2026-1", "CVE-2026-2"))] * 2
    assert (first.kernel, second.kernel) == (Versions("6.12", "6.12"),) * 2
    assert len(first.reboots) == 2
    assert said(made) == [
        (None, made.how),
        ("gpu1", f"{made.how.removeprefix('ended, done: none: ')}; reverted: its engines answer"),
        ("gpu2", "unchanged: the run ended before"),
    ]
    assert made.how.startswith("ended, done: none: not proven")


def test_what_became_of_a_host_that_can_not_be_reverted_is_not_known(bench: Bench) -> None:
    bench.hosts["gpu1"].after, bench.hosts["gpu1"].fails = FAILED, ("revert",)
    made = ran(bench, bench.opened("gpu1"))
    found = host(made)
    assert (found.outcome, found.packages[0].known, found.closed, found.open) == (
        Outcome.NOT_REVERTED,
        False,
        None,
        None,
    )
    assert found.kernel == Versions("6.12", None)
    assert said(made)[:2] == [
        (None, "it is still open"),
        (
            "gpu1",
            "not proven after 600 s: small.service has failed; it ran before; could not be reverted: revert failed",
        ),
    ]


def test_a_reboot_that_was_written_twice_is_one(bench: Bench) -> None:
    bench.hosts["gpu1"].dies = "reboot"
    work = bench.opened("gpu1", reboots=True)
    with pytest.raises(Dead):
        complete(work)
    again = bench.again(work)
    made = ran(bench, again)
    assert [entry.phase for entry in bench.journal()].count("reboot") == 2
    assert (host(made).outcome, len(host(made).reboots)) == (Outcome.PATCHED, 1)


def test_a_host_whose_change_was_aborted_is_unfinished(bench: Bench) -> None:
    bench.hosts["gpu1"].dies = "install"
    work = bench.opened("gpu1")
    with pytest.raises(Dead):
        complete(work)
    assert said(reported(bench, work))[:2] == [
        (None, "it is still open"),
        ("gpu1", "unfinished: neither proven nor reverted"),
    ]
    serve_as_they_run(bench.again(work), "not tonight")
    made = reported(bench, work)
    assert (host(made).outcome, host(made).packages[0].known) == (Outcome.UNFINISHED, False)
    assert said(made)[:2] == [(None, "aborted: not tonight"), ("gpu1", "unfinished: neither proven nor reverted")]


def test_what_the_operator_chose_is_a_deviation(bench: Bench) -> None:
    bench.options = Asked(only_security=True, reboot=False, canary="gpu1", hosts=("gpu1",), yes=True)
    needs = ("kernel 6.13; 6.12 runs",)
    bench.known = (
        PlannedHost(name="gpu1", offered=1, reboots=needs, stays=(Stays(package="small", why="on hold"),)),
        PlannedHost(name="gpu2", reboots=needs),
        PlannedHost(name="gate1"),
    )
    made = ran(bench, bench.opened("gpu1"))
    assert said(made) == [
        (None, "run with --only security, --no-reboot, -l gpu1"),
        (None, "approved with --yes, before the plan was shown"),
        ("gpu1", "still needs a reboot: kernel 6.13; 6.12 runs"),
        ("gpu2", "still needs a reboot: kernel 6.13; 6.12 runs"),
    ]
    assert (host(made).closed, host(made).open) == (None, None)


def test_a_reboot_that_only_the_installed_packages_asked_for(bench: Bench) -> None:
    bench.hosts["gpu1"].asks = True
    made = ran(bench, bench.opened("gpu1", may_reboot=True))
    assert ("gpu1", "rebooted, though the plan had no reboot: installed packages ask for it") in said(made)


def test_times_outside_the_windows(bench: Bench) -> None:
    made = ran(bench, bench.opened("gpu1"))
    drained = host(made).drained
    assert drained
    zone = ZoneInfo("Europe/Berlin")
    other = "mon" if drained.astimezone(zone).weekday() != 0 else "thu"
    found = said(made, Calendar((parse_window(f"{other} 02:00-03:00"),), (), zone))
    assert any("outside the windows of patch" in what for _, what in found)
    assert not any("window" in what for _, what in said(made))

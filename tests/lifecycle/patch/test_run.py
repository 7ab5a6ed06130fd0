"""`patch run` over stand-ins: what is refused before anything is opened, the order, and what is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.errors import HostsFailed, LeasedError, ProofError, RackwrightError, UsageError
from rackwright.fleet.lock import Lock
from rackwright.gateway import ServerState
from rackwright.lifecycle.patch import due, run
from rackwright.lifecycle.patch.asked import Asked
from rackwright.lifecycle.patch.document import plan_document
from rackwright.lifecycle.patch.findings import SetChange
from rackwright.lifecycle.patch.kinds import Wanted, kinds_of
from rackwright.lifecycle.patch.plan import HostPlan, Plan
from rackwright.lifecycle.patch.run import Patched, patch_run
from rackwright.lifecycle.patch.schedule import schedule
from rackwright.lifecycle.patch.try_build import Tried
from rackwright.lifecycle.session.agreements import Agreements
from rackwright.lifecycle.session.remember import Compared
from rackwright.roles.patch.state import Offered, PatchState
from rackwright.state.lease_session import LeaseSession
from rackwright.state.rollout import HostPart, HostRollout, read_rollout
from tests.lifecycle.patch.hosts import UNIT, Bench, Fakes, bench_of, change_of
from tests.lifecycle.patch.seen import clock, seen
from tests.lifecycle.patch.test_findings import COMING, NOW
from tests.lifecycle.patch.test_patch_drivers import BEFORE, drivers
from tests.lifecycle.session.test_agreements import allowing

SUNDAY = datetime(2026, 11, 29, 1, 0, tzinfo=UTC)
OFFERED = Offered(change_of(), security=False, origin="Debian", back="archive")
LOST = replace(OFFERED, back="none")


class Desk:
    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.plans: dict[str, HostPlan] = {}
        self.failed: dict[str, str] = {}
        self.builds: tuple[Tried, ...] = ()
        self.driver_problems: tuple[str, ...] = ()
        self.wanted: list[object] = []
        """Whether drivers were asked for, each time."""
        self.shown: list[Plan] = []
        self.nexts: list[Lock] = []
        """What was written as NAME.lock.next."""
        self.started: list[tuple[tuple[str, ...], str]] = []
        """The hosts and the run of each start that was reported."""
        self.compared = Compared(same=True)
        self.lease: LeaseSession

    def offer(self, *hosts: str, reboots: tuple[str, ...] = (), **state: Any) -> None:
        for name in hosts:
            found = PatchState("debian 13", "amd64", "6.12", **{"offered": (OFFERED,)} | state)
            self.plans[name] = HostPlan(name, found, None, reboots, (), (), ())

    @property
    def plan(self) -> Plan:
        kinds = kinds_of({name: Wanted(one.state) for name, one in self.plans.items()})
        when = schedule(self.bench.fleet, tuple(self.plans), SUNDAY, UTC, {})
        document = plan_document(kinds, only_security=False)
        return Plan(tuple(self.plans.values()), self.builds, when, document, self.failed, self.driver_problems)

    def planned(self, *_: object, drivers: bool, **__: object) -> Plan:
        self.wanted.append(drivers)
        return self.plan

    def drive(self, *hosts: str, builds: str = "builds") -> None:
        """Let these hosts get the next lock's driver, which builds, or not."""
        change = SetChange(NOW, COMING)
        for name in hosts:
            self.plans[name] = replace(self.plans[name], sets=change, reboots=("driver 580.1 becomes 580.2",))
            self.bench.hosts[name].driver = self.bench.hosts[name].loaded = NOW.set.name
        lines = () if builds == "builds" else ("nvidia.c:2: error: too few arguments",)
        self.builds = (Tried(hosts[0], COMING.version, COMING.kernel, builds, lines),)  # type: ignore[arg-type]
        self.bench.lock = BEFORE

    unattended: Agreements | None = None

    def run(self, **asked: Any) -> Patched:
        def started(hosts: Sequence[str], run: str) -> None:
            self.started.append((tuple(hosts), run))

        words = Asked(**asked), self.bench.console, self.shown.append, started
        return patch_run(self.bench.session, *words, self.unattended)

    @property
    def rollout(self) -> HostRollout:
        found = read_rollout(self.bench.store, self.lease.run)
        assert isinstance(found, HostRollout)
        return found

    @property
    def order(self) -> list[str]:
        return [part.name for part in self.rollout.hosts]


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    bench = bench_of(monkeypatch)
    made = Desk(bench)
    made.offer("gpu1", "gpu2")

    @contextmanager
    def leased(*_: object, **__: object) -> Iterator[LeaseSession]:
        made.lease = bench.lease_session()
        yield made.lease

    monkeypatch.setattr(run, "leased", leased)
    monkeypatch.setattr(run, "refuse_moved", lambda *_: None)
    monkeypatch.setattr(run, "survey", lambda _: SimpleNamespace(control=None))
    monkeypatch.setattr(run, "compared_under_lease", lambda _: made.compared)
    monkeypatch.setattr(run, "patch_plan", made.planned)
    monkeypatch.setattr(run, "look", bench.look)
    monkeypatch.setattr(run, "write_next", lambda _, lock: made.nexts.append(lock))
    monkeypatch.setattr(run, "under", Fakes.under)
    monkeypatch.setattr(due, "installed_set", lambda _, name: bench.hosts[name].driver)
    monkeypatch.setattr(run, "well", lambda *_: SimpleNamespace(facts=(UNIT,)))
    monkeypatch.setattr(
        run,
        "host_parts",
        lambda session, reasons: {name: bare(bench.part(name, reboots=False, may_reboot=False)) for name in reasons},
    )
    return made


def bare(part: HostPart) -> HostPart:
    return part.model_copy(update={"before": ()})


def test_hosts_are_patched_in_the_order_of_the_plan(desk: Desk) -> None:
    done = desk.run()
    assert (done.hosts, desk.order) == (("gpu1", "gpu2"), ["gpu1", "gpu2"])
    assert [plan.document for plan in desk.shown] == [done.plan.document]
    assert [part.before for part in desk.rollout.hosts] == [(UNIT,)] * 2
    assert desk.started == [(("gpu1", "gpu2"), desk.lease.run)]
    assert not desk.bench.open


def test_the_canary_goes_first(desk: Desk) -> None:
    desk.run(canary="gpu2")
    assert desk.order == ["gpu2", "gpu1"]
    assert [plan.schedule.order for plan in desk.shown] == [("gpu2", "gpu1")]


def test_only_the_hosts_that_are_named_are_patched(desk: Desk) -> None:
    desk.failed = {"gate1": "no answer"}
    assert desk.run(hosts=("gpu2",)).hosts == ("gpu2",)
    assert desk.bench.hosts["gpu1"].events == []


def test_a_host_that_needs_nothing_is_not_touched(desk: Desk) -> None:
    desk.offer("gpu1", offered=())
    assert desk.run().hosts == ("gpu2",)
    assert desk.bench.hosts["gpu1"].events == []


def test_where_no_host_needs_anything_nothing_is_opened(desk: Desk) -> None:
    desk.offer("gpu1", "gpu2", offered=())
    assert desk.run().hosts == ()
    assert (desk.bench.journal(), desk.shown, desk.started) == ([], [], [])


@pytest.mark.parametrize(("allowed", "hosts", "boots"), [(True, ("gpu1", "gpu2"), 1), (False, ("gpu2",), 0)])
def test_hosts_that_only_need_a_reboot_get_it_unless_that_is_not_wanted(
    desk: Desk, allowed: bool, hosts: tuple[str, ...], boots: int
) -> None:
    desk.offer("gpu1", offered=(), reboots=("libc6",))
    desk.offer("gpu2", reboots=("libc6",))
    assert desk.run(reboot=allowed).hosts == hosts
    assert [(part.reboots, part.may_reboot) for part in desk.rollout.hosts] == [(allowed, allowed)] * len(hosts)
    assert desk.bench.hosts["gpu2"].boots == boots
    why = [part.why for part in desk.rollout.hosts]
    assert why == (["reboot: libc6", "1 package, reboot: libc6"] if allowed else ["1 package"])


# Driver and kernel of the next lock.


def test_the_driver_changes_with_the_packages_and_the_next_lock_is_kept(desk: Desk) -> None:
    desk.drive("gpu1")
    desk.run()
    assert [(part.name, part.driver, part.reboots) for part in desk.rollout.hosts] == [
        ("gpu1", COMING.name, True),
        ("gpu2", None, False),
    ]
    assert desk.rollout.hosts[0].why == f"1 package, driver {COMING.version} with kernel {COMING.kernel}"
    assert (desk.rollout.before, desk.nexts) == (BEFORE, [desk.rollout.after])
    assert [drivers(lock) for lock in desk.bench.promoted] == [{"580.2": ("gpu1",), "580.1": ("gpu2",)}]


@pytest.mark.parametrize(
    ("asked", "wanted"), [({}, True), ({"only_security": True}, False), ({"reboot": False}, False)]
)
def test_security_updates_and_runs_without_reboots_leave_the_driver(
    desk: Desk, asked: dict[str, bool], wanted: bool
) -> None:
    desk.run(**asked)
    assert desk.wanted == [wanted]


def test_a_driver_that_does_not_build_is_refused_with_the_compilers_line(desk: Desk) -> None:
    desk.drive("gpu1", builds="fails")
    error = refused(desk, ProofError, f"driver {COMING.version} doesn't build")
    assert error.problems[0].listed == ("nvidia.c:2: error: too few arguments",)


def test_a_driver_that_does_not_build_is_no_concern_of_other_hosts(desk: Desk) -> None:
    desk.drive("gpu1", builds="fails")
    assert desk.run(hosts=("gpu2",)).hosts == ("gpu2",)


def test_drivers_that_are_not_known_are_refused(desk: Desk) -> None:
    desk.driver_problems = ("gpu1: no route to host",)
    refused(desk, HostsFailed, "driver and kernel of the next lock aren't known")


def test_a_lock_that_was_not_applied_is_refused(desk: Desk) -> None:
    desk.drive("gpu1")
    desk.bench.hosts["gpu1"].driver = "another"
    refused(desk, RackwrightError, "the lock's driver isn't installed on: gpu1")


# What is refused before anything is opened.


def refused(desk: Desk, error: type[RackwrightError], match: str, **asked: Any) -> RackwrightError:
    with pytest.raises(error, match=match) as raised:
        desk.run(**asked)
    assert (desk.bench.journal(), desk.shown) == ([], [])
    assert all(host.events == [] for host in desk.bench.hosts.values())
    return raised.value


def test_a_closed_gate_of_the_first_host(desk: Desk) -> None:
    desk.bench.looks = [seen(clocks=dict.fromkeys(("gate1", "gpu1", "gpu2"), clock(offset=301)))]
    error = refused(desk, RackwrightError, "gpu1: gate clock: it is 5 min 1 s ahead")
    assert len(error.problems) == 1


def test_a_run_that_the_operator_refuses_has_not_started(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def confirm(_: str) -> None:
        raise RackwrightError("not confirmed, nothing was changed")

    monkeypatch.setattr(Bench, "console", SimpleNamespace(say=print, heard=print, confirm=confirm))
    with pytest.raises(RackwrightError, match="not confirmed"):
        desk.run()
    assert desk.started == []


def test_an_unknown_host(desk: Desk) -> None:
    refused(desk, UsageError, "not in service: gpu7, gpu9", hosts=("gpu9", "gpu1"), canary="gpu7")


@pytest.mark.parametrize(
    ("hosts", "canary"), [((), "gate1"), (("gpu1",), "gpu2")], ids=["needs nothing", "is not among them"]
)
def test_a_canary_that_does_not_change(desk: Desk, hosts: tuple[str, ...], canary: str) -> None:
    refused(desk, UsageError, f"{canary} can't be the canary: nothing would change there", hosts=hosts, canary=canary)


def test_hosts_that_can_not_be_asked(desk: Desk) -> None:
    desk.failed = {"gate1": "gate1: no route to host"}
    error = refused(desk, HostsFailed, "what these hosts need isn't known")
    assert error.problems[0].listed == ("gate1: gate1: no route to host",)


def test_what_is_in_the_way_and_what_has_no_way_back_on_all_hosts_at_once(desk: Desk) -> None:
    desk.offer("gpu2", offered=(LOST,))
    desk.plans["gpu1"] = replace(desk.plans["gpu1"], in_the_way=("dpkg is locked by apt",))
    (problem,) = refused(desk, RackwrightError, "not all of these hosts can be patched").problems
    assert [line.split(";")[0] for line in problem.listed] == [
        "gpu1: dpkg is locked by apt",
        "gpu2: openssl could not be reverted: its version before can't be had",
    ]


# What is kept.


def test_a_run_whose_plan_is_lost_names_the_way_out(desk: Desk) -> None:
    work = desk.bench.opened("gpu1")
    del desk.bench.store.documents[f"patch-{work.rollout.id}.json"]
    with pytest.raises(LeasedError, match=r"the plan of the patch run .* is missing") as error:
        run.patches_of(work)
    assert "rollout abort --leave" in str(error.value)


def test_every_host_gets_the_packages_of_its_kind(desk: Desk) -> None:
    changes = run.patches_of(desk.bench.opened("gpu1"))
    assert (changes.plan.changes("gpu1"), changes.plan.changes("gpu2")) == ((change_of(),), ())


def test_an_outage_is_allowed_for_all_models_or_none(desk: Desk) -> None:
    desk.run()
    assert desk.rollout.outages == ()
    desk.run(allow_outage=True)
    assert desk.rollout.outages == ("assistant",)


# Nobody watches.


def unattended(desk: Desk, monkeypatch: pytest.MonkeyPatch, *up: str, **allow: Any) -> None:
    """Let the run be unattended, with these settings, while these replicas serve."""
    fleet = allowing(desk.bench.fleet, **allow)
    states = {
        one.address: ServerState(one.host, one.name, False, one.address in up, 0, None) for one in fleet.replicas
    }
    session = SimpleNamespace(**vars(desk.bench.session) | {"fleet": fleet, "gateways": Servers(states)})
    monkeypatch.setattr(Bench, "session", session)
    desk.unattended = Agreements(fleet)


class Servers(SimpleNamespace):
    def __init__(self, states: dict[str, ServerState]) -> None:
        super().__init__(servers=lambda: states)


BOTH = ("gpu1/assistant@1", "gpu2/assistant@1")


def test_an_unattended_run_that_needs_no_agreement_is_recorded_as_one(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    unattended(desk, monkeypatch, *BOTH)
    desk.run()
    assert (desk.rollout.unattended, desk.rollout.outages) == ((), ())


def test_the_last_healthy_replica_stops_an_unattended_run_before_anything_changes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    unattended(desk, monkeypatch, BOTH[0], downtime="all", close_ports=True)
    with pytest.raises(RackwrightError, match=r"needs unattended\.allow\.outage \(model assistant\)"):
        desk.run()
    assert (desk.bench.journal(), desk.started) == ([], [])
    assert all(host.events == [] for host in desk.bench.hosts.values())


def test_an_outage_that_the_fleet_file_allows_is_in_the_rollout(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    unattended(desk, monkeypatch, BOTH[0], outage=["assistant"])
    desk.run()
    assert desk.rollout.outages == ("assistant",)
    assert desk.rollout.unattended == ("unattended.allow.outage (model assistant)",)


def test_a_person_who_runs_it_is_recorded_as_one(desk: Desk) -> None:
    desk.run()
    assert desk.rollout.unattended is None


@pytest.mark.parametrize("allow", [{}, {"not_stale": True}])
def test_files_that_may_be_older_stop_a_run_unless_that_is_allowed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, allow: dict[str, Any]
) -> None:
    desk.compared = Compared(same=False, difference="-new", who="ben")
    unattended(desk, monkeypatch, *BOTH, **allow)
    if allow:
        desk.run()
        assert desk.rollout.unattended == ("unattended.allow.not_stale",)
    else:
        refused(desk, LeasedError, r"needs unattended\.allow\.not_stale")

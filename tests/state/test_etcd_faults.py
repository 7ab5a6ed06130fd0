"""A control plane of three members that fail: real etcd, real kills."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from rackwright.errors import HostError, LeasedError
from rackwright.remote.completed import Completed
from rackwright.state.etcd.etcd_store import EtcdStore
from rackwright.state.journal import Event
from rackwright.state.lease import Lease
from tests.etcd_cluster import Cluster, Fault, MemberShell
from tests.state.test_store import ANNA, BEN, entry, expire
from tests.waiting import wait_until

Run = Callable[[], Completed]


def gone() -> HostError:
    return HostError("unreachable", where="here")


def lost_command(run: Run) -> Completed:
    raise gone()


def lost_answer(run: Run) -> Completed:
    run()
    raise gone()


@dataclass
class Late:
    """Loses commands that arrive later than anybody waits for them."""

    runs: list[Run] = field(default_factory=list)

    def __call__(self, run: Run) -> Completed:
        self.runs.append(run)
        raise gone()


@dataclass
class Work:
    """What a run does with the store, with a fault before each step."""

    store: EtcdStore
    fault: Callable[[], None] = lambda: None

    def do(self) -> Lease:
        """Do everything that writes, and return the lease that was released."""
        lease = self._step(lambda: self.store.acquire(ANNA))
        self._step(lambda: self.store.append(lease, entry(Event.OPENED, detail="one")))
        self._step(lambda: self.store.keep(lease, "rollout-1.json", "first"))
        self._step(lambda: self.store.put("bench/a/1.json", "first", 2))
        lease = self._step(lambda: self.store.renew(lease))
        lease = self._step(lambda: self.store.renew(lease, 600))
        lease = self._step(lambda: self.store.renew(lease))
        self._step(lambda: self.store.keep(lease, "rollout-1.json", "second"))
        self._step(lambda: self.store.put("bench/a/1.json", "second", 2))
        assert self._step(lambda: self.store.put_first("golden/a/1.json", "the first")) == "the first"
        self._step(lambda: self.store.append(lease, entry(Event.CLOSED, detail="two")))
        self._step(lambda: self.store.release(lease))
        return lease

    def _step(self, act: Callable[[], object]) -> object:
        self.fault()
        return act()


def end(store: EtcdStore) -> dict[str, object]:
    return {
        "lease": store.show(),
        "journal": [one.detail for one in store.entries()],
        "kept": store.kept("rollout-1.json"),
        "bench": store.read_all("bench/a"),
        "golden": store.read("golden/a/1.json"),
    }


END = {
    "lease": None,
    "journal": ["one", "two"],
    "kept": "second",
    "bench": {"1.json": "second"},
    "golden": "the first",
}


def leases(cluster: Cluster) -> int:
    """Return how many etcd leases there are."""
    return len(cluster.members[0].run("lease", "list").stdout.split()) - 3


def test_without_a_fault_this_is_the_end_and_no_etcd_lease_lingers(cluster: Cluster) -> None:
    Work(cluster.store()).do()
    assert end(cluster.store()) == END
    assert leases(cluster) == 0


class Once:
    """A fault of the next command, whichever host it goes to."""

    def __init__(self, store: EtcdStore, fault: Fault) -> None:
        self.fault, self.armed = fault, False
        for shell in store.shells:
            assert isinstance(shell, MemberShell)
            shell.fault = self

    def arm(self) -> None:
        self.armed = True

    def __call__(self, run: Run) -> Completed:
        if not self.armed:
            return run()
        self.armed = False
        return self.fault(run)


@pytest.mark.parametrize("fault", [lost_command, lost_answer])
def test_a_lost_command_or_answer_changes_nothing_of_the_end(cluster: Cluster, fault: Fault) -> None:
    store = cluster.store()
    Work(store, Once(store, fault).arm).do()
    assert end(cluster.store()) == END


@pytest.mark.parametrize("fault", [lost_command, lost_answer])
def test_every_command_is_safe_to_repeat(cluster: Cluster, fault: Fault) -> None:
    """Each command of each step fails once on the host that is asked first."""
    store = cluster.store()
    turn = [0]

    def every_second(run: Run) -> Completed:
        turn[0] += 1
        return fault(run) if turn[0] % 2 else run()

    for shell in store.shells:
        shell.fault = every_second
    Work(store).do()
    assert turn[0] > 30
    assert end(cluster.store()) == END


def test_commands_that_arrive_late_change_nothing(cluster: Cluster) -> None:
    store, late = cluster.store(), Late()
    Work(store, Once(store, late).arm).do()
    assert end(cluster.store()) == END
    other = cluster.store().acquire(BEN)
    assert len(late.runs) == 12
    for run in late.runs:
        assert run().ok
    assert cluster.store().show() is not None
    cluster.store().append(other, entry(detail="three"))
    cluster.store().release(other)
    assert end(cluster.store()) == {**END, "journal": ["one", "two", "three"]}


@pytest.mark.parametrize("moment", ["before", "after"])
def test_the_member_that_is_asked_is_killed_at_each_write(cluster: Cluster, moment: str) -> None:
    store = cluster.store(limit=0.4)
    dead: list[int] = []

    def kill() -> None:
        for number in dead:
            cluster.start(cluster.members[number])
        dead[:] = [store._members._used]
        cluster.members[dead[0]].kill()

    def killed_after(run: Run) -> Completed:
        run()
        kill()
        raise gone()

    Work(store, kill if moment == "before" else Once(store, killed_after).arm).do()
    cluster.whole()
    assert end(cluster.store()) == END


def test_the_leader_may_die(cluster: Cluster) -> None:
    store = cluster.store()
    lease = store.acquire(ANNA)
    store.append(lease, entry(detail="one"))
    cluster.leader().kill()
    store.append(lease, entry(detail="two"))
    assert [one.detail for one in store.entries()] == ["one", "two"]
    assert store.renew(lease).token == lease.token


def test_without_two_members_nothing_is_written_or_lost_and_it_goes_on_with_two(cluster: Cluster) -> None:
    store = cluster.store(patience=0.1)
    lease = store.acquire(ANNA)
    store.append(lease, entry(detail="one"))
    cluster.members[0].kill()
    cluster.members[1].kill()
    store.shells[1].gone = True
    with pytest.raises(HostError) as caught:
        store.append(lease, entry(detail="lost"))
    text = str(caught.value)
    assert text.startswith("etcd0, etcd1, etcd2: writing the journal failed: no member of etcd can answer")
    assert "etcd1: unreachable; etcd2: " in text
    assert "should run and reach one another" in text
    cluster.start(cluster.members[0])
    wait_until(lambda: cluster.members[0].answers)
    store.append(lease, entry(detail="two"))
    # Nobody was told that the second one is written: it may be, or not.
    assert [one.detail for one in store.entries() if one.detail != "lost"] == ["one", "two"]


def test_a_lease_expires_by_itself_and_its_owner_is_known(cluster: Cluster) -> None:
    store = cluster.store(seconds=1)
    lease = store.acquire(BEN)
    wait_until(lambda: not store.show().live)
    shown = store.show()
    assert (shown.owner, shown.token, shown.seconds_left) == (BEN, lease.token, 0)
    with pytest.raises(LeasedError, match="this run's lease has ended"):
        store.append(lease, entry())
    with pytest.raises(LeasedError):
        store.renew(lease)
    assert cluster.store().acquire(ANNA).previous.owner == BEN
    with pytest.raises(LeasedError, match="now leased by anna@laptop"):
        store.keep(lease, "rollout-1.json", "{}")
    assert store.kept("rollout-1.json") is None


def test_a_short_lease_is_kept_by_renewing_it(cluster: Cluster) -> None:
    store = cluster.store(seconds=1)
    lease = store.acquire(ANNA)
    expired = cluster.members[0].run
    before = expired("lease", "timetolive", f"{lease.etcd:x}").stdout
    assert "remaining" in before
    for _ in range(3):
        lease = store.renew(lease)
        assert lease.live
    assert store.show().token == lease.token


def append(store: EtcdStore, lease: Lease) -> None:
    store.append(lease, entry(detail="one"))


def keep(store: EtcdStore, lease: Lease) -> None:
    store.keep(lease, "rollout-1.json", "{}")


@pytest.mark.parametrize("lands", [True, False])
@pytest.mark.parametrize(("write", "commands_before"), [(append, 0), (keep, 1)])
def test_what_was_written_before_the_lease_ended_is_not_refused_and_anything_else_is(
    cluster: Cluster, write: Callable[[EtcdStore, Lease], None], commands_before: int, lands: bool
) -> None:
    """The answer to the first attempt is lost, and the lease ends before the second one."""
    store = cluster.store()
    lease = store.acquire(ANNA)
    commands = [0]

    def lost_with_the_lease(run: Run) -> Completed:
        commands[0] += 1
        if commands[0] <= commands_before:
            return run()
        if lands:
            run()
        expire(cluster.store())
        raise gone()

    store.shells[0].fault = lost_with_the_lease  # type: ignore[attr-defined]
    if lands:
        write(store, lease)
    else:
        with pytest.raises(LeasedError):
            write(store, lease)
    assert [one.detail for one in store.entries()] == (["one"] if lands and write is append else [])
    assert store.kept("rollout-1.json") == ("{}" if lands and write is keep else None)


def test_an_expired_lease_is_removed_by_its_own_run(cluster: Cluster) -> None:
    store = cluster.store()
    lease = store.acquire(ANNA)
    expire(store)
    store.release(lease)
    assert store.show() is None

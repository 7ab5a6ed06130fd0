"""Members of etcd whose disks are slow: writes go on, and the lease stays."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from rackwright.errors import LeasedError
from rackwright.lab import programs
from rackwright.state.etcd.etcd_store import EtcdStore
from rackwright.state.lease_session import hold
from tests.etcd_cluster import Cluster, cluster_in
from tests.slow_disk import slow_disk
from tests.state.test_store import ANNA, BEN, entry
from tests.waiting import wait_until

pytestmark = pytest.mark.heavy
COVERS = ("rackwright/state/etcd", "rackwright/state/lease_session.py")


@pytest.fixture(scope="module")
def durable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Members that sync their disks, with etcd's own times for heartbeats and elections, as on control hosts."""
    programs.ensure({"strace": "strace"})
    with cluster_in(tmp_path_factory.mktemp("slow"), durable=True) as cluster:
        yield cluster


@pytest.mark.parametrize(("seconds", "lasts"), [(0.3, 5), (1.5, 30)])
@pytest.mark.parametrize("which", ["follower", "leader"])
def test_writes_go_on_once_each_and_the_lease_stays(durable: Cluster, which: str, seconds: float, lasts: int) -> None:
    """With 1.5 s, etcd itself complains, and the slow member gives no answer in time.

    If it stays the leader, renewals take several seconds: too long for a lease of 5 s. Real commands have 60 s.
    """
    durable.whole()
    durable.empty()
    leader = durable.leader()
    member = leader if which == "leader" else next(one for one in durable.members if one is not leader)
    # The slow one is asked first.
    shells = sorted(durable.shells(), key=lambda shell: shell.name != member.name)
    store = EtcdStore(tuple(shells), seconds=lasts)
    assert member.process
    with slow_disk(member.process.pid, seconds, durable.folder) as disk:
        wait_until(lambda: member.run("put", "/test/slow", "1").returncode >= 0 and disk.delayed > 0)
        written = _work(durable, store)
    durable.whole()
    after = durable.store()
    assert after.show() is None
    assert after.kept("rollout-1.json") == "{}"
    assert [one.detail for one in after.entries()] == written


def _work(durable: Cluster, store: EtcdStore) -> list[str]:
    """Write for longer than the lease would last without renewals. Return what was written, in order."""
    written: list[str] = []
    with hold(store, ANNA, every=0.5) as lease_session:
        until = time.monotonic() + store.seconds + 1
        while time.monotonic() < until:
            lease_session.write(event=entry().event, rollout="r1", detail=str(len(written)))
            written.append(str(len(written)))
            assert [one.detail for one in durable.store().entries()] == written
        lease_session.keep("rollout-1.json", "{}")
        lease_session.check()
        with pytest.raises(LeasedError, match="leased by anna@laptop"):
            durable.store(limit=2.0).acquire(BEN)
    return written

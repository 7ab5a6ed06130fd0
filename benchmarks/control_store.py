"""The time of a journal write and of taking the lease in etcd, compared with files, and the time of a failover.

Three members run on this machine and sync its disk; the files are on the same disk. Both stores run their commands in
a local shell, without SSH and TLS. Both are asked in turn. Targets: a journal write takes at most 3 times as long as
with files; after the leader is killed, which is also the member that was asked, the next write succeeds within 5 s.

    python -m benchmarks.control_store [--writes 200] [--failovers 11]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import keep
from rackwright.run import new_run_id
from rackwright.state.etcd.etcd_store import EtcdStore
from rackwright.state.formats import utc_now
from rackwright.state.journal import Entry, Event
from rackwright.state.lease import Lease
from rackwright.state.lease_session import owner
from rackwright.state.store import ControlStore, FileStore
from tests.etcd_cluster import Cluster, cluster_in
from tests.shells import LocalShell

MOST_TIMES = 3.0
MOST_SECONDS = 5.0
OWNER = owner("ada@laptop", "laptop", "model update assistant")


def entry() -> Entry:
    run = new_run_id()
    return Entry(
        time=utc_now(),
        rollout=run,
        run=run,
        operator="ada",
        event=Event.INTENT,
        subject="gpu1/assistant@1",
        phase="drain",
    )


def seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def acquired(store: ControlStore) -> float:
    """Return how long taking the lease takes, and release it."""
    taken: list[Lease] = []
    took = seconds(lambda: taken.append(store.acquire(OWNER)))
    store.release(taken[0])
    return took


def written(stores: dict[str, ControlStore], count: int) -> dict[str, list[float]]:
    """Return the seconds of each journal write."""
    leases = {name: store.acquire(OWNER) for name, store in stores.items()}
    samples: dict[str, list[float]] = {name: [] for name in stores}
    for number in range(count):
        for name in list(stores) if number % 2 else reversed(stores):
            one = entry()
            samples[name].append(seconds(lambda name=name, one=one: stores[name].append(leases[name], one)))  # type: ignore[misc]
            if number % 50 == 49:
                leases[name] = stores[name].renew(leases[name])
    for name, store in stores.items():
        store.release(leases[name])
    return samples


def taken(stores: dict[str, ControlStore], count: int) -> dict[str, list[float]]:
    """Return the seconds of taking the lease each time."""
    samples: dict[str, list[float]] = {name: [] for name in stores}
    for number in range(count):
        for name in list(stores) if number % 2 else reversed(stores):
            samples[name].append(acquired(stores[name]))
    return samples


def failover(cluster: Cluster) -> float:
    """Kill the leader, which is asked first; return how long the next journal write takes."""
    leader = cluster.leader()
    shells = sorted(cluster.shells(), key=lambda shell: shell.name != leader.name)
    store = EtcdStore(tuple(shells))
    lease = store.acquire(OWNER)
    store.append(lease, entry())
    leader.kill()
    took = seconds(lambda: store.append(lease, entry()))
    cluster.whole()
    store.release(store.renew(lease))
    return took


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--writes", type=int, default=200)
    parser.add_argument("--failovers", type=int, default=11)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rw-") as name, cluster_in(Path(name), durable=True) as cluster:
        stores: dict[str, ControlStore] = {
            "files": FileStore(LocalShell(), f"{name}/control"),
            "etcd": EtcdStore(cluster.shells()),
        }
        acts = {"journal write": written(stores, asked.writes), "taking the lease": taken(stores, asked.writes // 4)}
        failovers = [failover(cluster) for _ in range(asked.failovers)]
    ratios = {}
    for act, samples in acts.items():
        medians = {name: statistics.median(values) for name, values in samples.items()}
        ratios[act] = medians["etcd"] / medians["files"]
        shown = "   ".join(f"{name} {median * 1000:.1f} ms" for name, median in medians.items())
        print(f"{act:17} median {shown}   ratio {ratios[act]:.2f}")
    median = statistics.median(failovers)
    print(f"failover          median {median:.2f} s   longest {max(failovers):.2f} s   of {len(failovers)}")
    print(f"targets           journal write at most {MOST_TIMES} times, failover at most {MOST_SECONDS} s")
    keep("control_store", {**acts, "failover": failovers})
    return 0 if ratios["journal write"] <= MOST_TIMES and median <= MOST_SECONDS else 1


if __name__ == "__main__":
    raise SystemExit(main())

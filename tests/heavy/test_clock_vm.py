"""A machine's clock is set while it keeps a lease: in files, and as a member of etcd."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from rackwright.errors import LeasedError
from rackwright.lab.vm import Vm
from rackwright.remote import Remote
from rackwright.state.etcd.etcd_store import EtcdStore
from rackwright.state.shell import Shell
from rackwright.state.store import ControlStore, FileStore
from tests.state.test_store import ANNA, BEN, entry
from tests.waiting import wait_until

pytestmark = [pytest.mark.heavy, pytest.mark.machine]
COVERS = ("rackwright/state/etcd", "rackwright/state/scripts.py", "rackwright/state/store.py")
CTL = "/root/ctl"
ETCD = f"""
apt-get -qq update
systemctl mask --runtime -- etcd.service
DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends etcd-server etcd-client >/dev/null
systemd-run --quiet --unit=member --property=Type=notify etcd --data-dir=/var/lib/member --log-level=error
printf '#!/bin/sh\\nETCDCTL_API=3 exec etcdctl --command-timeout=60s "$@"\\n' >{CTL}
chmod 0700 {CTL}
"""


@pytest.fixture(scope="module")
def host(vm: Vm) -> Iterator[Shell]:
    vm.exec(ETCD, timeout=900)
    target = vm.target()
    with Remote((target,)) as remote:
        yield remote.connection(target.name)


@pytest.fixture(params=["files", "etcd"])
def store(request: pytest.FixtureRequest, host: Shell) -> ControlStore:
    if request.param == "files":
        return FileStore(host)
    # An emulated machine is slow.
    return EtcdStore((host,), ctl=CTL, limit=60.0, patience=60.0)


def lasting(store: ControlStore, seconds: int) -> ControlStore:
    assert isinstance(store, FileStore | EtcdStore)
    return replace(store, seconds=seconds)


def set_clock(vm: Vm, by: str) -> None:
    before = int(vm.exec("date +%s").out)
    vm.exec(f"date -s '{by}' >/dev/null")
    assert abs(int(vm.exec("date +%s").out) - before) > 3000


def test_a_lease_outlives_a_clock_that_is_set_and_nobody_else_gets_it(vm: Vm, store: ControlStore) -> None:
    store = lasting(store, 300)
    lease = store.acquire(ANNA)
    for by in ("5 hours", "-10 hours", "30 days", "-25 days"):
        set_clock(vm, by)
        with pytest.raises(LeasedError, match="leased by anna@laptop"):
            store.acquire(BEN)
        store.append(lease, entry(detail=by))
        shown = store.show()
        assert shown
        assert 100 < shown.seconds_left <= 300
        lease = store.renew(lease)
    store.release(lease)
    assert store.show() is None


@pytest.mark.parametrize("by", ["5 hours", "-10 hours"])
def test_a_lease_that_nobody_renews_ends_all_the_same(vm: Vm, store: ControlStore, by: str) -> None:
    lease = lasting(store, 90).acquire(ANNA)
    set_clock(vm, by)

    def ended() -> bool:
        shown = store.show()
        return shown is None or not shown.live

    assert not ended()
    wait_until(ended, 240)
    with pytest.raises(LeasedError):
        store.append(lease, entry())
    store.release(store.acquire(BEN))

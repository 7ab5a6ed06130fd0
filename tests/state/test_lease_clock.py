"""Clocks that are set while there is a lease: of its control host, which keeps it in files, and of its run."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from rackwright.errors import LeasedError
from rackwright.remote.completed import Completed
from rackwright.state import lease_session as holding
from rackwright.state.lease_session import hold
from rackwright.state.store import FileStore
from tests.shells import LocalShell
from tests.state.test_store import ANNA, BEN, entry
from tests.waiting import wait_until

HOURS = 3600


@dataclass
class Clock(LocalShell):
    """A stand-in for a host whose clock was set: `date` is off by this many seconds."""

    off: int = 0

    def run(self, command: str, **more: Any) -> Completed:
        wrong = f'date() {{ echo "$(($(command date "$@") + {self.off}))"; }}'
        return super().run(f"{wrong}\n{command}", **more)


def at(store: FileStore, off: int) -> FileStore:
    """Return the store on its host after the clock was set."""
    return replace(store, shell=Clock(off=off))


def rewritten(store: FileStore, line: int, old: str, new: str) -> None:
    path = Path(store.folder, "lease")
    lines = path.read_text().split("\n")
    assert old in lines[line]
    lines[line] = lines[line].replace(old, new)
    path.write_text("\n".join(lines))


@pytest.mark.parametrize("off", [2 * HOURS, 24 * HOURS, -2 * HOURS])
def test_a_lease_outlives_a_clock_that_is_set_and_nobody_else_gets_it(file_store: FileStore, off: int) -> None:
    lease = file_store.acquire(ANNA)
    after = at(file_store, off)
    with pytest.raises(LeasedError, match="leased by anna@laptop"):
        after.acquire(BEN)
    after.append(lease, entry())
    assert 55 <= after.show().seconds_left <= 60
    renewed = after.renew(lease)
    assert renewed.token == lease.token
    # And back again.
    file_store.append(renewed, entry())
    assert 55 <= file_store.show().seconds_left <= 60


@pytest.mark.parametrize("off", [-2 * HOURS, -1000 * 24 * HOURS, 0, 2 * HOURS])
def test_a_lease_that_nobody_renews_ends_also_if_the_clock_is_set_back(file_store: FileStore, off: int) -> None:
    lease = replace(file_store, seconds=1).acquire(ANNA)
    after = at(file_store, off)
    wait_until(lambda: not after.show().live)
    with pytest.raises(LeasedError, match="this run's lease has ended"):
        after.append(lease, entry())
    assert after.acquire(BEN).previous.owner == ANNA


def test_a_lease_lasts_no_less_than_its_time(file_store: FileStore) -> None:
    """Its run counts from before it asked: the host must not count from the second that had begun before."""
    for _ in range(3):
        began = time.monotonic()
        file_store.release(replace(file_store, seconds=1).acquire(ANNA))
        lease = replace(file_store, seconds=1).acquire(ANNA)
        took = wait_until(lambda: not file_store.show().live)
        assert time.monotonic() - began >= took > 0
        assert time.monotonic() - began >= 1
        file_store.release(lease)


def test_of_a_clock_before_1970_an_ended_lease_can_be_shown(file_store: FileStore) -> None:
    replace(file_store, seconds=-100).acquire(ANNA)
    shown = at(file_store, 10 - int(time.time())).show()
    assert (shown.owner, shown.live) == (ANNA, False)


def test_after_a_reboot_the_clock_decides(file_store: FileStore) -> None:
    lease = file_store.acquire(ANNA)
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    rewritten(file_store, 2, boot, "00000000-0000-0000-0000-000000000000")
    file_store.append(lease, entry())
    assert not at(file_store, 100).show().live
    assert at(file_store, 30).renew(lease).seconds_left == 60
    # It counts in the new boot from then on.
    file_store.append(lease, entry())
    at(file_store, 2 * HOURS).append(lease, entry())


def test_a_lease_that_an_earlier_rackwright_renewed_or_took_ends_by_the_clock(file_store: FileStore) -> None:
    lease = file_store.acquire(ANNA)
    path = Path(file_store.folder, "lease")
    expires = path.read_text().split("\n")[0].split(" ")[3]
    rewritten(file_store, 0, expires, str(int(expires) + 100))
    assert file_store.show().seconds_left > 100
    assert at(file_store, 120).renew(lease).seconds_left == 60
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    file_store.append(lease, entry())
    assert at(file_store, 2 * HOURS).acquire(BEN).previous.owner == ANNA


def test_an_earlier_rackwright_finds_what_it_knows_in_the_first_two_lines(file_store: FileStore) -> None:
    lease = file_store.acquire(ANNA)
    first, owner, _, end = Path(file_store.folder, "lease").read_text().split("\n")
    assert first.split()[:2] == ["lease/1", str(lease.token)]
    assert (owner, end) == (ANNA.model_dump_json(), "")


@pytest.mark.parametrize("off", [2 * HOURS, -2 * HOURS])
def test_the_clock_of_its_machine_does_not_matter_to_a_run(
    file_store: FileStore, monkeypatch: pytest.MonkeyPatch, off: int
) -> None:
    with hold(file_store, ANNA) as lease_session:
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + off)
        lease_session.check()
        assert lease_session.holds()
        elapsed = holding.now()
        monkeypatch.setattr(holding, "now", lambda: elapsed + 61)
        file_store.shell.gone = True
        assert not lease_session.holds()

from __future__ import annotations

import threading
import time

import pytest

from rackwright.errors import HostError, LeasedError
from rackwright.state import lease_session as holding
from rackwright.state.journal import Event
from rackwright.state.lease import RENEW_SECONDS, Owner
from rackwright.state.lease_session import RETRY_SECONDS, hold, refuse_open_rollout
from rackwright.state.store import FileStore
from tests.shells import LocalShell

ANNA = Owner(who="anna@laptop", machine="laptop", why="apply", run="r1")


@pytest.fixture
def store(tmp_path):
    return FileStore(LocalShell(), str(tmp_path / "control"))


def test_a_lease_is_taken_within_the_block_and_released_after_it(store):
    with hold(store, ANNA) as lease_session:
        assert store.show().owner == ANNA
        assert lease_session.run == "r1"
    assert store.show() is None


def test_an_interrupted_block_releases_its_lease(store):
    with pytest.raises(KeyboardInterrupt), hold(store, ANNA):
        raise KeyboardInterrupt
    assert store.show() is None


def test_a_host_that_is_gone_at_the_end_is_no_error(store):
    with hold(store, ANNA):
        store.shell.gone = True
    store.shell.gone = False
    assert store.show().owner == ANNA


def test_a_second_operator_is_refused_and_the_first_goes_on(store):
    with hold(store, ANNA) as lease_session:
        with pytest.raises(LeasedError), hold(store, ANNA.model_copy(update={"who": "ben"})):
            raise AssertionError
        lease_session.write(Event.INTENT, "r1")
    assert len(store.entries()) == 1


def test_the_lease_is_renewed_in_the_background_again_and_again(store):
    renewals = threading.Semaphore(0)

    class Watched(FileStore):
        def renew(self, lease):
            renewals.release()
            return super().renew(lease)

    with hold(Watched(store.shell, store.folder), ANNA, every=0.001):
        for _ in range(3):
            assert renewals.acquire(timeout=60)


def test_a_renewal_without_an_answer_is_tried_again_soon(store):
    """Otherwise, three failed renewals end the lease, which lasts only three times as long as their pause."""
    waited = []

    class Ended:
        def wait(self, seconds):
            waited.append(seconds)
            store.shell.gone = len(waited) in (2, 3)
            return len(waited) == 5

    with hold(store, ANNA) as lease_session:
        holding._keep(lease_session, Ended(), RENEW_SECONDS)
    assert waited == [RENEW_SECONDS, RENEW_SECONDS, RETRY_SECONDS, RETRY_SECONDS, RENEW_SECONDS]


def test_a_lease_that_was_broken_stops_every_further_change(store):
    with hold(store, ANNA) as lease_session:
        store.break_(store.show())
        assert not lease_session.renew()
        with pytest.raises(LeasedError, match="lease has ended"):
            lease_session.check()
        with pytest.raises(LeasedError):
            lease_session.write(Event.INTENT, "r1")
    assert store.entries() == ()


def test_a_lease_that_was_lost_is_not_renewed_again(store):
    with hold(store, ANNA, every=0.001) as lease_session:
        (renewer,) = [thread for thread in threading.enumerate() if thread.name == "lease"]
        store.break_(store.show())
        renewer.join(60)
        assert not renewer.is_alive()
        with pytest.raises(LeasedError):
            lease_session.check()


def test_a_short_loss_of_the_control_host_keeps_the_lease_and_a_long_one_ends_it(store, monkeypatch):
    with hold(store, ANNA) as lease_session:
        store.shell.gone = True
        assert lease_session.renew()
        lease_session.check()
        lease_session._good_until = 0
        assert not lease_session.renew()
        with pytest.raises(LeasedError):
            lease_session.check()


def test_a_lease_lasts_while_its_own_host_boots_and_is_renewed_as_ever_afterwards(store):
    with hold(store, ANNA) as lease_session:
        with lease_session.lasting(1800):
            assert store.show().seconds_left > 1700
            # The renewals in the background don't shorten it.
            assert lease_session.renew()
            assert store.show().seconds_left > 1700
            store.shell.gone = True
            lease_session.check()
            store.shell.gone = False
        assert store.show().seconds_left <= 60
        lease_session.write(Event.INTENT, "r1")


def test_a_lease_that_was_lost_is_not_made_to_last(store):
    with hold(store, ANNA) as lease_session:
        store.break_(store.show())
        assert not lease_session.renew()
        store.shell.gone = True
        with pytest.raises(LeasedError), lease_session.lasting(1800):
            raise AssertionError


def test_a_host_that_doesnt_come_back_keeps_the_lease_no_longer_than_it_lasts(store):
    with hold(store, ANNA) as lease_session:
        with lease_session.lasting(1800):
            store.shell.gone = True
        lease_session.check()
        lease_session._good_until = 0
        assert not lease_session.renew()


def test_an_open_rollout_is_named_until_it_is_closed(store):
    with hold(store, ANNA) as lease_session:
        refuse_open_rollout(store)
        lease_session.write(Event.OPENED, "r1", detail="restart of gpu1")
        with pytest.raises(LeasedError, match=r"the rollout r1 of anna@laptop is open: restart of gpu1"):
            refuse_open_rollout(store)
        lease_session.write(Event.CLOSED, "r1")
        refuse_open_rollout(store)


def test_an_owner_gets_a_run_id_of_its_own():
    owner = holding.owner("anna", "laptop", "apply")
    assert len(owner.run.rpartition("-")[2]) == 4
    assert owner.run[8] == "T"
    assert owner.run != holding.owner("anna", "laptop", "apply").run


def test_an_unreachable_control_host_is_an_error_of_that_host(store):
    store.shell.gone = True
    with pytest.raises(HostError, match="gate1: unreachable"), hold(store, ANNA):
        raise AssertionError


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        time = 1000.0

    monkeypatch.setattr(holding, "now", lambda: Clock.time)
    return Clock


def test_the_control_host_is_asked_before_a_change_unless_it_was_just_asked(store, clock):
    with hold(store, ANNA) as lease_session:
        store.break_(store.show())
        lease_session.check()
        clock.time += holding.FRESH_SECONDS + 0.1
        with pytest.raises(LeasedError, match="lease has ended"):
            lease_session.check()


def test_a_command_that_slept_for_longer_than_a_lease_asks_before_the_next_change(store, clock):
    with hold(store, ANNA) as lease_session:
        clock.time += 3600
        assert not lease_session.holds()
        lease_session.check()
        assert lease_session.holds(), "nobody took it meanwhile"
        clock.time += 3600
        store.break_(store.show())
        ben = store.acquire(ANNA.model_copy(update={"who": "ben"}))
        with pytest.raises(LeasedError, match="the fleet is now leased by ben"):
            lease_session.check()
        assert store.show().token == ben.token


def test_a_lease_ends_here_when_its_time_is_over_whatever_a_renewal_that_hangs_may_say(store, clock):
    with hold(store, ANNA) as lease_session:
        clock.time += 59
        assert lease_session.holds()
        clock.time += 1
        assert not lease_session.holds()
        with pytest.raises(LeasedError):
            lease_session.write(Event.INTENT, "r1")
        assert store.entries() == ()


def test_a_control_host_out_of_reach_is_forgiven_for_as_long_as_the_lease_lasts(store, clock):
    with hold(store, ANNA) as lease_session:
        store.shell.gone = True
        clock.time += 59
        lease_session.check()
        clock.time += 1
        with pytest.raises(LeasedError):
            lease_session.check()


def test_time_counts_from_when_the_control_host_was_asked(store, clock):
    class Slow(FileStore):
        def acquire(self, owner):
            clock.time += 50
            return super().acquire(owner)

        def renew(self, lease, seconds=None):
            clock.time += 50
            return super().renew(lease, seconds)

    with hold(Slow(store.shell, store.folder), ANNA) as lease_session:
        clock.time += 11
        assert not lease_session.holds()
        assert lease_session.renew()
        clock.time += 9
        assert lease_session.holds()
        clock.time += 2
        assert not lease_session.holds()


def test_the_clock_goes_on_while_the_machine_is_suspended():
    assert abs(holding.now() - time.clock_gettime(time.CLOCK_BOOTTIME)) < 1

"""Keep a lease during a command: renew it in the background, and release it at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rackwright.errors import HostError, LeasedError
from rackwright.run import new_run_id
from rackwright.state.formats import utc_now
from rackwright.state.journal import Entry, Event, open_rollout
from rackwright.state.lease import RENEW_SECONDS, SECONDS, Lease, Owner, lost
from rackwright.state.store import ControlStore

FRESH_SECONDS = 2.0
"""Seconds: a lease that was renewed within this time isn't renewed again before a change."""
RETRY_SECONDS = 2.0
"""Seconds until a renewal in the background that got no answer is tried again."""


def now() -> float:
    """Return seconds of a clock that continues while this machine is suspended."""
    # macOS has no CLOCK_BOOTTIME; there CLOCK_MONOTONIC continues during suspend.
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class LeaseSession:
    """A lease in use, and the journal that it gives the right to write.

    `asked`: the time (by `now`) when the control host was asked for the lease; it lasts at least a minute from then.
    """

    def __init__(self, store: ControlStore, lease: Lease, asked: float) -> None:
        self.store = store
        self.lease = lease
        self._lost: LeasedError | None = None
        self._renewed = asked
        self._good_until = asked + SECONDS
        self._lasts = False
        self._unanswered = False

    @property
    def run(self) -> str:
        return self.lease.owner.run

    def holds(self) -> bool:
        """Return whether the lease is still valid as far as is known here. Call it before each operation."""
        return self._lost is None and now() < self._good_until

    def check(self) -> None:
        """Ask the control host, and raise LeasedError if the lease was lost. Call it before each change.

        An unreachable control host is tolerated while the lease is still valid as far as is known here.
        """
        if self._lost is None and now() - self._renewed > FRESH_SECONDS:
            self.renew()
        self._refuse_lost()

    def _refuse_lost(self) -> None:
        """Raise LeasedError if the lease is known to be lost. Enough for writes that check the lease on the host."""
        if self._lost is None and not self.holds():
            self._lost = lost(None, self.lease.where)
        if self._lost:
            raise self._lost

    def renew(self) -> bool:
        """Renew the lease and return whether it is still valid. An unreachable host is tolerated for a minute."""
        if self._lasts:
            return True
        asked = now()
        try:
            self.lease = self.store.renew(self.lease)
            self._renewed, self._good_until, self._unanswered = asked, asked + SECONDS, False
        except LeasedError as error:
            self._lost = error
        except HostError:
            self._unanswered = True
            if not self.holds():
                self._lost = lost(None, self.lease.where)
        return self._lost is None

    def pause(self, every: float) -> float:
        """Return how many seconds to wait for the next renewal, which is due in `every` seconds if all is well."""
        return min(every, RETRY_SECONDS) if self._unanswered else every

    def keep(self, name: str, content: str) -> None:
        """Store this document on the control host's disk. Raise LeasedError if the lease has ended."""
        self._refuse_lost()
        self.store.keep(self.lease, name, content)

    @contextmanager
    def lasting(self, seconds: int) -> Iterator[None]:
        """Make the lease last this long without renewal during the block, because its host will be unreachable.

        Raise LeasedError or HostError before the block if that isn't possible.
        """
        self.check()
        asked = now()
        self.lease, self._lasts = self.store.renew(self.lease, seconds), True
        self._good_until = asked + seconds
        try:
            yield
        finally:
            self._lasts = False
            self.renew()

    def write(
        self,
        event: Event,
        rollout: str,
        *,
        subject: str = "",
        phase: str = "",
        detail: str = "",
        facts: tuple[str, ...] = (),
    ) -> None:
        """Append an entry to the journal on disk. Raise LeasedError if the lease has ended."""
        self._refuse_lost()
        self.store.append(
            self.lease,
            Entry(
                time=utc_now(),
                rollout=rollout,
                run=self.run,
                operator=self.lease.owner.who,
                event=event,
                subject=subject,
                phase=phase,
                detail=detail,
                facts=facts,
            ),
        )


@contextmanager
def hold(store: ControlStore, owner: Owner, *, every: float = RENEW_SECONDS) -> Iterator[LeaseSession]:
    """Take the lease and keep it until the block ends, however it ends. Raise LeasedError if there is a live one."""
    asked = now()
    lease_session = LeaseSession(store, store.acquire(owner), asked)
    ended = threading.Event()
    renewer = threading.Thread(target=_keep, args=(lease_session, ended, every), name="lease", daemon=True)
    renewer.start()
    try:
        yield lease_session
    finally:
        ended.set()
        renewer.join()
        # If the host is unreachable now, the lease expires on its own.
        with suppress(HostError):
            store.release(lease_session.lease)


def _keep(lease_session: LeaseSession, ended: threading.Event, every: float) -> None:
    while not ended.wait(lease_session.pause(every)):
        if not lease_session.renew():
            return


def refuse_open_rollout(store: ControlStore) -> None:
    """Raise LeasedError if a rollout is open: it must be resumed or aborted first."""
    opened = open_rollout(store.entries())
    if opened is None:
        return
    raise LeasedError(
        f"the rollout {opened.rollout} of {opened.operator} is open: {opened.detail}",
        should="it must be resumed or aborted before anything else changes",
        next="rackwright rollout status",
    )


def owner(who: str, machine: str, why: str, run: str | None = None) -> Owner:
    """Return the owner of a lease for this command; `run` is a new id when absent."""
    return Owner(who=who, machine=machine, why=why, run=run or new_run_id())

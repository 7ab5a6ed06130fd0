"""Holding a lease: renewed in the background while the work goes on, released at its end."""

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
"""A lease that was renewed within this time isn't asked for again before a change."""


def now() -> float:
    """Return seconds of a clock that goes on while this machine is suspended."""
    # macOS has no CLOCK_BOOTTIME; there CLOCK_MONOTONIC goes on.
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class LeaseSession:
    """A lease in use, and the journal that it gives the right to write.

    `asked` is when the control host was asked for it, by `now`: from then on it lasts a minute at least.
    """

    def __init__(self, store: ControlStore, lease: Lease, asked: float) -> None:
        self.store = store
        self.lease = lease
        self._lost: LeasedError | None = None
        self._renewed = asked
        self._good_until = asked + SECONDS
        self._lasts = False

    @property
    def run(self) -> str:
        return self.lease.owner.run

    def holds(self) -> bool:
        """Return whether the lease holds, by what is known here. To be called before each operation."""
        return self._lost is None and now() < self._good_until

    def check(self) -> None:
        """Ask the control host, and raise LeasedError if the lease was lost. To be called before each change.

        A control host out of reach is forgiven while the lease holds by what is known here.
        """
        if self._lost is None and now() - self._renewed > FRESH_SECONDS:
            self.renew()
        self._refuse_lost()

    def _refuse_lost(self) -> None:
        """Where the control host asks for the lease itself, it needs no question of its own before."""
        if self._lost is None and not self.holds():
            self._lost = lost(None, self.lease.where)
        if self._lost:
            raise self._lost

    def renew(self) -> bool:
        """Renew it and return whether it still holds. A host out of reach is tried again for a minute."""
        if self._lasts:
            return True
        asked = now()
        try:
            self.lease = self.store.renew(self.lease)
            self._renewed, self._good_until = asked, asked + SECONDS
        except LeasedError as error:
            self._lost = error
        except HostError:
            if not self.holds():
                self._lost = lost(None, self.lease.where)
        return self._lost is None

    def keep(self, name: str, content: str) -> None:
        """The control host has this document on disk afterwards. Raise LeasedError if the lease has ended."""
        self._refuse_lost()
        self.store.keep(self.lease, name, content)

    @contextmanager
    def lasting(self, seconds: int) -> Iterator[None]:
        """The lease lasts this long without being renewed, while its own host is out of reach; then as ever.

        Raise LeasedError or HostError where it can't be made to, before the block.
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

    def write(self, event: Event, rollout: str, *, subject: str = "", phase: str = "", detail: str = "") -> None:
        """The journal's line is on disk afterwards. Raise LeasedError if the lease has ended."""
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
            ),
        )


@contextmanager
def hold(store: ControlStore, owner: Owner, *, every: float = RENEW_SECONDS) -> Iterator[LeaseSession]:
    """Take the lease and keep it until the block ends, however it ends. Raise LeasedError if one is live."""
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
        # A host that is gone by now lets the lease expire by itself.
        with suppress(HostError):
            store.release(lease_session.lease)


def _keep(lease_session: LeaseSession, ended: threading.Event, every: float) -> None:
    while not ended.wait(every):
        if not lease_session.renew():
            return


def refuse_open_rollout(store: ControlStore) -> None:
    """Raise LeasedError if a rollout was begun and not finished: it has to be resumed or aborted first."""
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

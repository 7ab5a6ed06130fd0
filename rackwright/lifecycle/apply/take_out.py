"""Take replicas that the fleet file no longer places out of service: drained first, so that no request is cut."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from rackwright.errors import HostError, LeasedError, RackwrightError
from rackwright.fleet.fleet import Replica
from rackwright.fleet.hosts.host_spec import HostSpec
from rackwright.gateway import Gateways
from rackwright.lifecycle.apply.retiring import Retirement, Retiring, with_kept
from rackwright.lifecycle.apply.work import Work
from rackwright.lifecycle.rollout.change import DOWNTIME_SECONDS
from rackwright.lifecycle.rollout.early_downtime import EarlyDowntime
from rackwright.lifecycle.session.remember import failure_audited, note_leased_act
from rackwright.run import Run
from rackwright.state.journal import seconds_away

Deploy = Callable[[Work, Run], Run]
"""Brings the hosts to what the session says."""
_WHY = "the fleet file no longer places it"


def with_replicas(work: Work, retiring: Sequence[Retiring]) -> Work:
    """Return the work under which these replicas still belong to the fleet."""
    return replace(work, session=with_kept(work.session, retiring))


@contextmanager
def room_made(work: Work, retirement: Retirement, run: Run) -> Iterator[None]:
    """Drain the replicas that must stop first; within the block, the gateways expect the downtime of their models.

    Raise HostError if a gateway can't be asked, RackwrightError if requests don't end in time.
    """
    first, outages = retirement.stopped_first, retirement.outages
    if not first or run.interrupted:
        yield
        return
    try:
        with failure_audited(work.session, work.lease_session, run):
            _answer_queued(work, outages)
            _drain(work, first)
            _announce(work, outages)
        yield
    except LeasedError:
        # The downtime is now up to the run that has the lease.
        raise
    except BaseException:
        _end_downtimes(work, outages)
        raise
    _end_downtimes(work, outages)


def take_out(work: Work, retirement: Retirement, run: Run, deploy: Deploy) -> Run:
    """Drain the replicas that were kept, now that others serve, and bring the hosts to the fleet file.

    Raise RackwrightError naming those that go on serving, because not all others of their model do.
    """
    if not retirement.replicas or run.interrupted:
        return run
    with failure_audited(work.session, work.lease_session, run):
        needed = _needed(work, retirement.kept, run) if retirement.kept else {}
        leaving = [one for one in retirement.kept if one not in needed]
        _drain(work, leaving)
    run = deploy(_narrowed(work, retirement, list(needed)), run)
    if not run.interrupted:
        _forget(work, [*leaving, *retirement.stopped_first], run)
    if needed:
        raise RackwrightError(
            "these replicas go on serving, although the fleet file no longer places them",
            should="the other replicas of their model should serve first",
            next="rackwright apply",
            listed=[f"{one.replica.address}: {why}" for one, why in needed.items()],
        )
    return run


def _narrowed(work: Work, retirement: Retirement, left: Sequence[Retiring]) -> Work:
    """Return the work on the hosts that differ once only these replicas are left."""
    before, after = (with_kept(work.session, replicas) for replicas in (retirement.replicas, left))
    hosts = {name: spec for name, spec in after.hosts.items() if _differ(spec, before.hosts[name])}
    return replace(work, session=replace(after, hosts=hosts))


def _differ(one: HostSpec, other: HostSpec) -> bool:
    return replace(one, credentials=other.credentials, rolled=other.rolled) != other


def _needed(work: Work, kept: Sequence[Retiring], run: Run) -> dict[Retiring, str]:
    """Return those that must go on serving, with the reason."""
    fleet = work.session.fleet
    if failed := [name for name in fleet.gateways if name in run.failed_hosts]:
        return dict.fromkeys(kept, f"{' and '.join(failed)} failed, and may still send it requests")
    states = work.session.gateways.servers()
    serve = {address for address, state in states.items() if state.takes_requests or state.drained_manually}
    missing = {one: _addresses(fleet.replicas_of(one.replica.model)) - serve for one in kept}
    return {one: f"{', '.join(sorted(others))} doesn't serve" for one, others in missing.items() if others}


def _addresses(replicas: Iterable[Replica]) -> set[str]:
    return {one.address for one in replicas}


def _answer_queued(work: Work, outages: Sequence[str]) -> None:
    """Return when no request waits for a slot of these models. Their downtime begins early for new ones."""
    gateways, queued = work.session.gateways, dict[str, int]()

    def count() -> int:
        queued.update((model, gateways.queued(model)) for model in outages)
        return sum(queued.values())

    early = EarlyDowntime(lambda seconds: _announce(work, outages, early=seconds), count, time.monotonic)
    if outages:
        _wait_until_none(work, "queued", lambda: queued if early.queued() else {})


def _announce(work: Work, outages: Sequence[str], *, early: int = 0) -> None:
    for model in outages:
        seconds = seconds_away(work.lease_session.store.entries(), model) or DOWNTIME_SECONDS
        work.session.gateways.open_downtime(model, seconds, early=early)


def _end_downtimes(work: Work, outages: Sequence[str]) -> None:
    for model in outages:
        # At a gateway that is unreachable, it ends when its time is up.
        with suppress(HostError):
            work.session.gateways.close_downtime(model)


def _drain(work: Work, replicas: Sequence[Retiring]) -> None:
    """Return when no gateway sends these any requests and none is in flight. If that takes too long, undrain them."""
    gateways = work.session.gateways
    addresses = [one.replica.address for one in replicas]
    try:
        for address in addresses:
            _drain_one(work, gateways, address)
        if addresses:
            _wait_until_none(work, "in flight", lambda: _in_flight(gateways, addresses))
    except LeasedError:
        # Without the lease, this run changes nothing more.
        raise
    except RackwrightError:
        for address in addresses:
            with suppress(HostError):
                gateways.undrain(address)
        raise


def _drain_one(work: Work, gateways: Gateways, address: str) -> None:
    work.lease_session.check()
    work.console.say(f"{address}  draining: {_WHY}")
    who, reason = work.lease_session.lease.owner.who, f"{_WHY} (run {work.lease_session.run})"
    gateways.drain(address, who=who, reason=reason, manual=False)
    note_leased_act(work.session, work.lease_session, gateways.hosts, f"drain {address}: {_WHY}")


def _wait_until_none(work: Work, where: str, look: Callable[[], dict[str, int]]) -> None:
    seconds = work.session.fleet.file.rollout.drain_timeout
    deadline = time.monotonic() + seconds
    while left := {name: count for name, count in look().items() if count}:
        if work.stopping() or time.monotonic() > deadline:
            raise RackwrightError(
                "interrupted" if work.stopping() else f"requests are still {where} after {seconds} s",
                should="wait for them, or raise rollout.drain_timeout",
                next="rackwright apply",
                listed=[f"{name}: {count} requests {where}" for name, count in left.items()],
            )
        time.sleep(0.5)


def _in_flight(gateways: Gateways, addresses: Sequence[str]) -> dict[str, int]:
    states = gateways.servers()
    return {address: states[address].in_flight for address in addresses if address in states}


def _forget(work: Work, replicas: Sequence[Retiring], run: Run) -> None:
    fleet = work.session.fleet
    gateways = work.session.gateways.only(name for name in fleet.gateways if name not in run.failed_hosts)
    for one in replicas:
        gateways.forget_drain(one.replica.address)
        work.console.say(f"{one.replica.address}  done: it no longer serves")

"""The golden answers of a site: which engines must answer alike, and the first answer of each kind."""

from __future__ import annotations

import threading
from functools import cache

from rackwright.fleet.fleet import Fleet, Replica
from rackwright.fleet.lock import Lock
from rackwright.lifecycle.session.session import Session
from rackwright.roles.replica.answer import PROMPT_VERSION, Answer
from rackwright.state.formats import utc_now
from rackwright.state.golden import Golden, Kind, read_golden, write_golden


@cache
def _one_at_a_time() -> threading.Lock:
    """Many replicas may be proven at once, and sshd lets ten sessions over one connection to the control host.

    Made when first used: by then gevent has made locks its own.
    """
    return threading.Lock()


def kind_of(session: Session, replica: Replica) -> Kind:
    """Return what the replica of a site shares with those that must answer as it does."""
    return kind_by(session.fleet, session.lock, replica)


def kind_by(fleet: Fleet, lock: Lock, replica: Replica) -> Kind:
    """Return what the replica shares with those that must answer as it does.

    How many it answers at a time, over how many GPUs, with how much context and memory: that changes no answer but
    by rounding, and isn't part of it.
    """
    runtime = fleet.file.models[replica.model].runtime
    return Kind(
        model=replica.model,
        digest=lock.models[replica.model].digest,
        runtime=runtime.key,
        build=lock.runtimes[runtime.key].digest,
        processor="gpu" if replica.gpus else "cpu",
        settings=runtime.answering,
        prompt=PROMPT_VERSION,
    )


def recorded_or_new(session: Session, replica: Replica, answer: Answer, *, run: str | None = None) -> Golden | None:
    """Return what the control host keeps for engines of this kind: the first answer, maybe this one.

    Without a run nothing is recorded; None: nothing is kept then.
    """
    kind, control = kind_of(session, replica), session.remote.connection(session.fleet.control[0])
    with _one_at_a_time():
        if run is None:
            return read_golden(control, kind)
        who = session.operator.who
        golden = Golden(kind=kind, answer=answer, replica=replica.address, run=run, when=utc_now(), who=who)
        return write_golden(control, golden)

"""Golden answers: which engines must give the same answer, and the first recorded answer of each kind."""

from __future__ import annotations

import threading
from functools import cache

from rackwright.fleet.fleet import Fleet, Replica
from rackwright.fleet.lock import Lock
from rackwright.launch import Task
from rackwright.lifecycle.session.session import Session
from rackwright.roles.replica.answer import PROMPT_VERSION
from rackwright.roles.replica.embedding import EMBEDDING_VERSION
from rackwright.roles.replica.question import GoldenAnswer
from rackwright.state.formats import utc_now
from rackwright.state.golden import Golden, Kind, read_golden, write_golden


@cache
def _one_at_a_time() -> threading.Lock:
    """Serialize access: many replicas may be proven at once, but sshd allows ten sessions per connection.

    Created at first use, because gevent has patched locks by then.
    """
    return threading.Lock()


def kind_of(session: Session, replica: Replica) -> Kind:
    """Return the kind of this session's replica: engines of the same kind must give the same answer."""
    return kind_by(session.fleet, session.lock, replica)


def kind_by(fleet: Fleet, lock: Lock, replica: Replica) -> Kind:
    """Return the replica's kind: engines of the same kind must give the same answer.

    Concurrency, number of GPUs, context and memory aren't part of it: they change answers only by rounding.
    """
    model = fleet.file.models[replica.model]
    runtime = model.runtime
    return Kind(
        model=replica.model,
        digest=lock.models[replica.model].digest,
        runtime=runtime.key,
        build=lock.runtimes[runtime.key].digest,
        processor="gpu" if replica.gpus else "cpu",
        settings=(*runtime.answering, *_asked(model.task)),
        prompt=PROMPT_VERSION,
    )


def _asked(task: Task) -> tuple[str, ...]:
    """Return what identifies another question than the one for text, whose kinds have no task."""
    return () if task is Task.GENERATE else (f"task={task}/{EMBEDDING_VERSION}",)


def recorded_or_new(
    session: Session, replica: Replica, answer: GoldenAnswer, *, run: str | None = None
) -> Golden | None:
    """Return the recorded answer for engines of this kind. If there is none and `run` is set, record this one.

    None: no answer is recorded.
    """
    kind = kind_of(session, replica)
    with _one_at_a_time():
        if run is None:
            return read_golden(session.store, kind)
        who = session.operator.who
        golden = Golden(kind=kind, answer=answer, replica=replica.address, run=run, when=utc_now(), who=who)
        return write_golden(session.store, golden)

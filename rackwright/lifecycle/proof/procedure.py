"""The proof of a replica: its engine is what the lock says, and gives the answer that is recorded for its kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rackwright.errors import ProofError
from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.proof.golden_answers import recorded_or_new
from rackwright.lifecycle.proof.identity import Identity, identity_of, mismatches, not_yet
from rackwright.lifecycle.session.replica_units import hosts_of, unit_of
from rackwright.lifecycle.session.session import Session
from rackwright.remote.answers import read_answer
from rackwright.roles.replica.proof import CUT_OFF, Seen, parse, proof_command
from rackwright.roles.replica.question import GoldenAnswer, compare_golden, question
from rackwright.state.golden import Golden, golden_path

NOT_RECORDED = "no answer of its kind is recorded yet"
"""The remark about a replica that any answer proves, because none is recorded."""
_LOOKING = "looking at the engine"
_NOTHING = "no answer came back"


@dataclass(frozen=True)
class _Looked:
    """One of a replica's engines: what it should be, and what it is."""

    identity: Identity
    seen: Seen


def prove(
    session: Session, replica: Replica, *, run: str | None = None, say: Callable[[str], None] = lambda _: None
) -> str | None:
    """Return None if the replica is proven, else why it isn't yet. Runs one command per host.

    Proven means: each of its engines has the unit, files and arguments that the lock says, and the engine that
    answers gives the recorded answer. If none is recorded, `run` records this one; without `run`, any answer is
    enough. `say` gets remarks about a proven replica.
    Raise ProofError if waiting doesn't help: other files or another process under the right unit, or another answer.
    Raise HostError if a host can't be asked.
    """
    looked = session.remote.each(hosts_of(session, replica), lambda host: _look(session, replica, host))
    waiting = {host: reason for host, one in looked.items() if (reason := not_yet(one.identity, one.seen))}
    if waiting:
        return _joined(replica, waiting)
    _require_identity(replica, looked)
    seen = looked[replica.host].seen
    if seen.answer is None:
        return seen.said or _NOTHING
    _compare(session, replica, seen.answer, run, say)
    return None


def answers(session: Session, replica: Replica) -> str | None:
    """Return None if the replica gives any answer, whatever it runs, else why not. Raise HostError like `prove`."""
    seen = _look(session, replica, replica.host).seen
    return None if seen.answer else seen.said or _NOTHING


def _look(session: Session, replica: Replica, host: str) -> _Looked:
    """Look at one engine with one command; only the engine that answers for the replica gets a question."""
    identity = identity_of(session, replica, host)
    model = session.fleet.file.models[replica.model]
    asked = question(model.task, replica.model, tokens=model.runtime.tells_tokens) if host == replica.host else None
    command = proof_command(unit_of(session, replica, host), identity.folders, asked)
    done = session.remote.connection(host).run(command, timeout=90)
    # The output of a killed command is incomplete, and proves nothing either way.
    return _Looked(identity, CUT_OFF if done.killed else read_answer(host, _LOOKING, parse, done.stdout, done.stderr))


def _require_identity(replica: Replica, looked: dict[str, _Looked]) -> None:
    wrong = {host: "; ".join(found) for host, one in looked.items() if (found := mismatches(one.identity, one.seen))}
    if wrong:
        raise ProofError(
            _joined(replica, wrong),
            where=replica.address,
            should="it should run what the lock says, with the arguments in its unit",
            next="rackwright apply",
        )


def _joined(replica: Replica, reasons: dict[str, str]) -> str:
    """Join the reasons. Those of a replica with several hosts name the host."""
    return "; ".join(f"{host}: {reason}" if replica.members else reason for host, reason in reasons.items())


def _compare(
    session: Session, replica: Replica, answer: GoldenAnswer, run: str | None, say: Callable[[str], None]
) -> None:
    golden = recorded_or_new(session, replica, answer, run=run)
    if golden is None:
        say(NOT_RECORDED)
        return
    if (golden.run, golden.replica) == (run, replica.address):
        say(f"its answer is the first of its kind, and recorded: {answer.short}")
    compared = compare_golden(golden.answer, answer)
    if not compared.same:
        raise _another_answer(session, replica, golden, answer, compared.said or "")
    if compared.said:
        say(f"its answer {compared.said}")


def _another_answer(
    session: Session, replica: Replica, golden: Golden, answer: GoldenAnswer, said: str
) -> ProofError:
    recorded = f"{golden.when:%Y-%m-%d}, {golden.replica}"
    where = session.store.place(golden_path(golden.kind))
    return ProofError(
        f"answers {answer.short}, but {golden.answer.short} is recorded ({recorded}); {said}",
        where=replica.address,
        should=f"the same weights and runtime should answer the same; if the new answer is right, remove {where}",
        next=f"rackwright logs {replica.address}",
    )

"""The proof of a replica: its engine is what the lock says, and answers as engines of its kind did before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rackwright.errors import ProofError
from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.proof.golden_answers import recorded_or_new
from rackwright.lifecycle.proof.identity import Identity, identity_of, mismatches, not_yet
from rackwright.lifecycle.session.replica_units import hosts_of, unit_of
from rackwright.lifecycle.session.session import Session
from rackwright.roles.replica.answer import Answer, compare
from rackwright.roles.replica.proof import CUT_OFF, Seen, parse, proof_command
from rackwright.state.golden import Golden, golden_path


@dataclass(frozen=True)
class _Looked:
    """One of a replica's engines: what it should be, and what was seen."""

    identity: Identity
    seen: Seen


def prove(
    session: Session, replica: Replica, *, run: str | None = None, say: Callable[[str], None] = lambda _: None
) -> str | None:
    """Return None when the replica is proven, else why it isn't yet.

    Each of its engines runs on the unit, files and arguments that the lock says, and the one that is asked gives the
    answer that is recorded. Where none is, `run` records this one; None: it is enough that one came. `say` is told
    what is to be said of a proven one. One command a host.
    Raise ProofError where waiting doesn't help: other files or another process under the right unit, or another
    answer. Raise HostError if a host can't be asked.
    """
    looked = session.remote.each(hosts_of(session, replica), lambda host: _look(session, replica, host))
    waiting = {host: reason for host, one in looked.items() if (reason := not_yet(one.identity, one.seen))}
    if waiting:
        return _reply(replica, waiting)
    _require_identity(replica, looked)
    seen = looked[replica.host].seen
    if seen.answer is None:
        return seen.said or "no tokens came back"
    _compare(session, replica, seen.answer, run, say)
    return None


def answers(session: Session, replica: Replica) -> str | None:
    """Return None when the replica gives an answer, whatever it runs, else why not. Raise HostError as `prove`."""
    seen = _look(session, replica, replica.host).seen
    return None if seen.answer else seen.said or "no tokens came back"


def _look(session: Session, replica: Replica, host: str) -> _Looked:
    """One command on the host; only where the replica answers it is asked anything."""
    identity = identity_of(session, replica, host)
    name = session.fleet.file.models[replica.model].names[0] if host == replica.host else None
    tokens = session.fleet.file.models[replica.model].runtime.tells_tokens
    command = proof_command(unit_of(session, replica, host), identity.folders, name, tokens=tokens)
    done = session.remote.connection(host).run(command, timeout=90)
    # What a look that was cut off doesn't show may be as it should: that is no proof of anything.
    return _Looked(identity, CUT_OFF if done.killed else parse(done.stdout, done.stderr))


def _require_identity(replica: Replica, looked: dict[str, _Looked]) -> None:
    wrong = {host: "; ".join(reply) for host, one in looked.items() if (reply := mismatches(one.identity, one.seen))}
    if wrong:
        raise ProofError(
            _reply(replica, wrong),
            where=replica.address,
            should="it should run what site.lock says, as its unit has it",
            next="rackwright apply",
        )


def _reply(replica: Replica, reasons: dict[str, str]) -> str:
    """Where a replica has several hosts each reason names its own."""
    return "; ".join(f"{host}: {reason}" if replica.members else reason for host, reason in reasons.items())


def _compare(session: Session, replica: Replica, answer: Answer, run: str | None, say: Callable[[str], None]) -> None:
    golden = recorded_or_new(session, replica, answer, run=run)
    if golden is None:
        say("no answer of its kind is recorded yet")
        return
    if (golden.run, golden.replica) == (run, replica.address):
        say(f"its answer is the first of its kind, and recorded: {answer.short}")
    compared = compare(golden.answer, answer)
    if not compared.same:
        raise _another_answer(session, replica, golden, answer, compared.said or "")
    if compared.said:
        say(f"its answer {compared.said}")


def _another_answer(session: Session, replica: Replica, golden: Golden, answer: Answer, said: str) -> ProofError:
    recorded = f"{golden.when:%Y-%m-%d}, {golden.replica}"
    where = f"{golden_path(golden.kind)} on {session.fleet.control[0]}"
    return ProofError(
        f"answers {answer.short} where {golden.answer.short} is recorded ({recorded}); {said}",
        where=replica.address,
        should=f"the same weights and runtime should answer alike; if this answer is the right one, remove {where}",
        next=f"rackwright logs {replica.address}",
    )

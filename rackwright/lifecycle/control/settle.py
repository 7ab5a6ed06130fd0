"""Bring the etcd members of control hosts to what the fleet asks for, one after the other."""

from __future__ import annotations

from rackwright.errors import HostError, RackwrightError
from rackwright.lifecycle.control.due import DueMember, due_members
from rackwright.lifecycle.control.membership import Membership
from rackwright.lifecycle.control.quorum import refuse_needed
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.remember import note_leased_act
from rackwright.lifecycle.session.session import Session
from rackwright.remote.answers import read_answer
from rackwright.roles.etcd.state import COMMAND, EtcdState, parse
from rackwright.state.lease_session import LeaseSession

_ASKING = "asking for the etcd member"
_WHOLE = f"( {COMMAND} )\necho whole\n"


def settle_members(session: Session, lease_session: LeaseSession, hosts: tuple[str, ...], console: Console) -> None:
    """Replace or restart what is due on these control hosts. The others must work without each of them meanwhile.

    Raise LeasedError if the lease has ended, RackwrightError if too few would work, HostError if a member doesn't
    work in time.
    """
    membership = Membership(session.fleet, session.remote)
    found = due_members(session.fleet, member_states(session, hosts), frozenset())
    lost = [due for due in found if due.act == "replace"]
    # etcd takes a new member only when no dead one is left.
    for due in lost:
        refuse_needed(session, due.host)
        lease_session.check()
        membership.forget(due.host, _through(session, membership, due))
    for due in found:
        refuse_needed(session, due.host)
        lease_session.check()
        console.say(str(due))
        through = _through(session, membership, due)
        if due.act == "restart" and due.host in membership.hosts(through):
            membership.restart(due.host, through)
        else:
            membership.add(due.host, through)
        note_leased_act(session, lease_session, (due.host,), f"{due.act} the etcd member: {due.why}")


def _through(session: Session, membership: Membership, due: DueMember) -> str:
    """Return another member that works."""
    others = [name for name in session.fleet.control if name != due.host]
    failing = membership.failing(others)
    if working := [name for name in others if name not in failing]:
        return working[0]
    raise RackwrightError("no other control host works", where=due.host, next="rackwright status")


def member_states(session: Session, hosts: tuple[str, ...]) -> dict[str, EtcdState]:
    """Return the states of the control hosts among these that can be asked. Raise HostError if an answer isn't whole:
    a member that works must not be taken for a lost one."""
    found = session.remote.run_on([name for name in session.fleet.control if name in hosts], _WHOLE)
    return {
        name: read_answer(name, _ASKING, _parsed, answer.check(_ASKING).stdout)
        for name, answer in found.items()
        if not isinstance(answer, HostError)
    }


def _parsed(text: str) -> EtcdState:
    if not text.endswith("whole\n"):
        raise ValueError("the answer isn't whole")
    return parse(text)

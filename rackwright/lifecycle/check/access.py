"""Whether an apply would lock this machine out of a host: its packet filter, or fail2ban."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rackwright.lifecycle.check.result import Condition, State
from rackwright.lifecycle.session.survey import CONNECTED_COMMAND, parse_connected
from rackwright.roles.fail2ban.bans import bans_us
from rackwright.roles.firewall.closing import locks_out

if TYPE_CHECKING:
    from rackwright.fleet.hosts.host_spec import HostSpec

KEY = "connected"
QUESTION = f'echo "{KEY} $({CONNECTED_COMMAND})"'
"""A line of the script: where this connection comes from, as the host sees it."""


def judge_access(spec: HostSpec, connected: str) -> Iterator[Condition]:
    """Given the answer to QUESTION, yield what would lock us out, or that nothing would.

    Nothing is yielded for a host that isn't reached over SSH.
    """
    found = parse_connected(connected)
    if found is None:
        return
    banned = bans_us(spec.baseline.fail2ban, spec.never_shut_out, found.source)
    problems = [one for one in (locks_out(spec.firewall, found.source, found.own), banned) if one]
    for problem in problems:
        next_ = "; ".join(filter(None, (problem.should, problem.next)))
        yield Condition(spec.name, "access", State.FAILED, f"{problem.where}: {problem.what}", next_)
    if not problems:
        yield Condition(spec.name, "access", State.OK, f"{found.source} may connect")

"""The first, read-only look at every host: one command a host for all that a plan must know beside the roles."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from rackwright.errors import HostError
from rackwright.lifecycle.site import Site
from rackwright.operations.facts.filters import FILTERS_COMMAND, Filters, parse_filters
from rackwright.operations.facts.listening import LISTENING_COMMAND, Socket, parse_listening
from rackwright.roles.replica.state import COMMAND as REPLICAS_COMMAND
from rackwright.roles.replica.state import ReplicaState
from rackwright.roles.replica.state import parse as parse_replicas

SEEN_FROM_COMMAND = """p=$$
while [ "${p:-1}" -gt 1 ]; do
a=$(tr '\\0' '\\n' <"/proc/$p/environ" 2>/dev/null | sed -n 's/^SSH_CONNECTION=//p')
[ -z "$a" ] || { echo "${a%% *}"; break; }
p=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$p/status")
done
"""
"""The address that our connection comes from, as the host sees it. sudo takes the variable from its command, so the
processes above are asked."""
RECORD_COMMAND = "cat /var/lib/rackwright/record.json 2>/dev/null"


@dataclass(frozen=True)
class Surveyed:
    """What one host is like now."""

    listening: tuple[Socket, ...]
    filters: Filters
    replicas: Mapping[str, ReplicaState]
    """By replica name; one that isn't installed yet is absent."""
    record: str
    """Its record.json, or nothing."""
    seen_from: str
    """The address that our connection comes from; nothing on this machine itself."""


@dataclass(frozen=True)
class Survey:
    hosts: Mapping[str, Surveyed]
    unreachable: Mapping[str, str]
    """Host → why."""


def survey(site: Site) -> Survey:
    """Ask every host of the site at once; changes nothing."""
    mark = secrets.token_hex(16)
    answers = site.remote.run_on(tuple(site.models), _script(mark))
    unreachable = {name: str(answer) for name, answer in answers.items() if isinstance(answer, HostError)}
    hosts = {
        name: _surveyed(answer.stdout, mark) for name, answer in answers.items() if not isinstance(answer, HostError)
    }
    return Survey(hosts, unreachable)


def _script(mark: str) -> str:
    parts = (LISTENING_COMMAND, FILTERS_COMMAND, REPLICAS_COMMAND, RECORD_COMMAND, SEEN_FROM_COMMAND)
    return f"\necho {mark}\n".join(f"(\n{part}\n)" for part in parts)


def _surveyed(output: str, mark: str) -> Surveyed:
    listening, filters, replicas, record, seen_from = (*output.split(f"{mark}\n"), *[""] * 4)[:5]
    return Surveyed(
        listening=parse_listening(listening),
        filters=parse_filters(filters),
        replicas={state.replica: state for state in parse_replicas(replicas)},
        record=record.strip(),
        seen_from=seen_from.strip(),
    )

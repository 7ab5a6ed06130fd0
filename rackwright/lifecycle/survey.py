"""The first, read-only look at every host: one command a host for all that a plan must know beside the roles."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from rackwright.errors import HostError
from rackwright.lifecycle.site import Site
from rackwright.operations.facts.filters import FILTERS_COMMAND, Filters, parse_filters
from rackwright.operations.facts.listening import LISTENING_COMMAND, Socket, parse_listening
from rackwright.roles.replica.state import ReplicaState, parse_states, states_command


@dataclass(frozen=True)
class Surveyed:
    """What one host is like now."""

    listening: tuple[Socket, ...]
    filters: Filters
    replicas: Mapping[str, ReplicaState]
    """By replica name; one that isn't installed yet is absent."""
    record: str
    """Its record.json, or nothing."""


@dataclass(frozen=True)
class Survey:
    hosts: Mapping[str, Surveyed]
    unreachable: Mapping[str, str]
    """Host → why."""


def survey(site: Site) -> Survey:
    """Ask every host of the site at once; changes nothing."""
    answers = {}
    unreachable = {}
    mark = secrets.token_hex(16)
    scripts = {name: _script(model.replicas, mark) for name, model in site.models.items()}
    for name, answer in site.remote.run_on(tuple(site.models), scripts).items():
        if isinstance(answer, HostError):
            unreachable[name] = str(answer)
        else:
            answers[name] = _parsed(answer.stdout, mark)
    return Survey(answers, unreachable)

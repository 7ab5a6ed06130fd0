"""What each gateway says about the replicas, also if others don't answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from rackwright.errors import HostError
from rackwright.gateway import CloudState, ServerState, merged
from rackwright.gateway.fallback_counts import Fallback, GatewayFallbacks, fallbacks_of
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.survey import Survey
from rackwright.lifecycle.status.parts import CloudStatus, TrafficState

_DROPPED = (
    "{name}: HAProxy has dropped {count} log lines, because journald was too slow; requests may be missing in the "
    "access log; next: on {name}, journalctl -u systemd-journald"
)


@dataclass(frozen=True)
class _Answer:
    servers: Mapping[str, ServerState]
    dropped: int
    clouds: Mapping[str, CloudState] = field(default_factory=dict)
    fallbacks: GatewayFallbacks | None = None
    """None: the fleet has no cloud."""


@dataclass(frozen=True)
class Traffic:
    """The answers of the gateways that answer, and why the others don't."""

    answers: Mapping[str, _Answer]
    silent: Mapping[str, str]
    """Gateway → why it doesn't answer."""

    def server(self, address: str) -> ServerState | None:
        """Return the replica as all gateways that answer see it together; None: none of them knows it."""
        return merged({name: answer.servers for name, answer in self.answers.items()}).get(address)

    def by_gateway(self, address: str) -> dict[str, TrafficState]:
        """Return whether each gateway sends requests to the replica."""
        found = {name: traffic_of(answer.servers.get(address)) for name, answer in self.answers.items()}
        return {**found, **dict.fromkeys(self.silent, TrafficState.UNKNOWN)}

    def clouds(self) -> Iterator[CloudStatus]:
        """Yield each cloud as each gateway that answers sees it."""
        for gateway, answer in self.answers.items():
            for name, state in answer.clouds.items():
                yield CloudStatus(gateway, name, state.reached, state.text)

    def fallbacks(self) -> tuple[Fallback, ...]:
        """Return each migration's fallback, by what the gateways that answer say."""
        return fallbacks_of(answer.fallbacks for answer in self.answers.values() if answer.fallbacks)

    def warnings(self) -> Iterator[str]:
        for name, answer in self.answers.items():
            if answer.dropped:
                yield _DROPPED.format(name=name, count=answer.dropped)


def ask_gateways(session: Session, surveyed: Survey) -> Traffic:
    """Ask each gateway on its own. One that the survey couldn't reach isn't tried again."""
    lost = {name: surveyed.unreachable[name] for name in session.fleet.gateways if name in surveyed.unreachable}

    def ask(name: str) -> _Answer | HostError:
        gateway = session.gateways.only((name,))
        try:
            found = _Answer(gateway.servers(), gateway.dropped_lines().get(name, 0))
            if not session.fleet.file.clouds:
                return found
            return replace(found, clouds=gateway.clouds().get(name, {}), fallbacks=gateway.fallbacks().get(name))
        except HostError as error:
            return error

    found = session.remote.each([name for name in session.fleet.gateways if name not in lost], ask)
    failed = {
        name: answer.problems[0].what.removeprefix(f"{name}: ")
        for name, answer in found.items()
        if isinstance(answer, HostError)
    }
    answers = {name: answer for name, answer in found.items() if isinstance(answer, _Answer)}
    return Traffic(answers, {**lost, **failed})


def traffic_of(server: ServerState | None) -> TrafficState:
    """Return whether requests are sent to this server, given what one or more gateways say of it."""
    if server is None:
        return TrafficState.UNKNOWN
    if server.drained:
        return TrafficState.DRAINED
    return TrafficState.YES if server.up else TrafficState.NO

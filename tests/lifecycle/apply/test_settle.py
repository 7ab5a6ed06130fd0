from __future__ import annotations

from types import SimpleNamespace

import pytest

from rackwright.errors import HostError
from rackwright.gateway.server_states import ServerState
from rackwright.lifecycle.apply import settle
from rackwright.lifecycle.apply.settle import await_gateways, probe_reports
from rackwright.remote.completed import Completed

STATES = b"""\
replica=a@1
ActiveState=active
Result=success
state=ready
replica=a@2
ActiveState=activating
Result=exit-code
ExecMainStatus=1
state=faulted
reason=it ended 3 times before it was ready
"""


class Hosts:
    def run_on(self, names, _command):
        answers = {"gpu1": Completed(0, STATES, b"", "gpu1"), "gpu2": HostError("unreachable", where="gpu2")}
        return {name: answers[name] for name in names}


def test_probes_say_what_keeps_a_replica_from_serving():
    places = ("gpu1/a@1", "gpu1/a@2", "gpu1/a@3", "gpu2/a@1")
    replicas = [SimpleNamespace(host=place.partition("/")[0], address=place) for place in places]
    said = "faulted: it ended 3 times before it was ready; exit-code, status 1"
    assert probe_reports(Hosts(), replicas) == {"gpu1/a@2": said}


def server(host, *, up, drained=False):
    return ServerState(host=host, replica="a@1", drained=drained, up=up, in_flight=0, record=None)


class AskedGateways:
    """Gateways that give these answers in turn; they repeat the last one."""

    def __init__(self, *looks):
        self.looks = list(looks)

    def servers(self):
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        return {state.address: state for state in look}


class Probed:
    """Hosts whose probes report these states of a@1."""

    def __init__(self, **states):
        self.states = states

    def run_on(self, names, _command):
        told = {name: f"replica=a@1\nActiveState=active\nstate={self.states[name]}\n".encode() for name in names}
        return {name: Completed(0, text, b"", name) for name, text in told.items()}


GPU1, GPU2 = (SimpleNamespace(host=host, address=f"{host}/a@1") for host in ("gpu1", "gpu2"))


@pytest.fixture
def slept(monkeypatch):
    """Simulated time: it passes only during a sleep."""
    naps = []
    monkeypatch.setattr(settle.time, "sleep", naps.append)
    monkeypatch.setattr(settle.time, "monotonic", lambda: sum(naps))
    return naps


@pytest.fixture
def console():
    said = []
    return SimpleNamespace(say=said.append, said=said)


def test_a_replica_that_its_probe_finds_healthy_is_awaited_until_the_gateways_see_it(slept, console):
    hidden = [server("gpu1", up=True), server("gpu2", up=False)]
    gateways = AskedGateways(hidden, hidden, [server("gpu2", up=True)])
    found = await_gateways(Probed(gpu1="ready", gpu2="busy"), gateways, console, [GPU1, GPU2], lambda: False)
    # The last answer lacks gpu1: its state is unknown there.
    assert found == {"gpu2/a@1"}
    assert len(slept) == 2
    assert console.said == ["gpu2/a@1: ready, but a gateway doesn't see it yet: waiting up to 60 s"]


@pytest.mark.parametrize(
    ("probe", "state"),
    [("faulted", server("gpu2", up=False)), ("ready", server("gpu2", up=True, drained=True)), ("ready", None)],
)
def test_an_unhealthy_drained_or_unknown_replica_is_not_awaited(slept, console, probe, state):
    gateways = AskedGateways([server("gpu1", up=True), *([state] if state else [])])
    found = await_gateways(Probed(gpu1="ready", gpu2=probe), gateways, console, [GPU1, GPU2], lambda: False)
    assert found == {"gpu1/a@1"}
    assert slept == console.said == []


def test_gateways_that_never_see_it_are_waited_for_a_minute_or_until_someone_stops(slept, console):
    gateways = AskedGateways([server("gpu1", up=False)])
    assert await_gateways(Probed(gpu1="ready"), gateways, console, [GPU1], lambda: len(slept) > 3) == set()
    assert len(slept) == 4
    assert await_gateways(Probed(gpu1="ready"), gateways, console, [GPU1], lambda: False) == set()
    assert 60 < sum(slept) < 65

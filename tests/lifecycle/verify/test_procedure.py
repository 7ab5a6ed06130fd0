import re
from types import SimpleNamespace
from typing import cast

import pytest
from gevent.event import Event

from rackwright.errors import HostError
from rackwright.launch import Task
from rackwright.lifecycle.client.request import Response
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.verify.procedure import _all_serve, _backups, _cases, _gateways, _judged, _names, _no_http
from rackwright.roles.replica.state import parse
from rackwright.run import Outcome, Run, Step
from rackwright.values.secrets import Secret
from tests.lifecycle.backup.test_make import SETTINGS

WHAT = (
    *("m: a completion", "m: a stream", "a wrong key is refused", "plain HTTP is refused"),
    "its certificate is valid for at least 30 days",
)


@pytest.mark.parametrize(
    ("status", "exit_code", "refused"),
    [
        pytest.param(0, 7, True, id="no connection"),
        pytest.param(0, 28, True, id="dropped on the way"),
        pytest.param(0, 52, True, id="closed without an answer"),
        pytest.param(400, 0, True, id="told to use TLS"),
        pytest.param(200, 0, False, id="answered"),
        pytest.param(301, 0, False, id="sent elsewhere"),
        pytest.param(0, 49, False, id="never asked"),
        pytest.param(0, 6, False, id="a name that doesn't resolve"),
    ],
)
def test_plain_http_counts_as_refused_only_if_it_was_asked(status: int, exit_code: int, *, refused: bool) -> None:
    assert _no_http(Response(status, "", 0.1, "curl's words", exit_code))[0] is refused


@pytest.mark.parametrize(
    ("steps", "judged"),
    [
        ([], (True, "nothing would change")),
        ([Step("gpu2", "sysctl", "Set", Outcome.WOULD_CHANGE, note="odd")], (True, "nothing would change")),
        ([Step("gpu1", "sysctl", "Set", Outcome.WOULD_CHANGE)], (False, "sysctl: would change: Set")),
        ([Step("gpu1", "sysctl", "Set", Outcome.UNCHANGED, note="a\nb")], (False, "sysctl: a; b")),
        ([Step("gpu1", "sysctl", "Set", Outcome.FAILED)], (False, "could not be checked")),
    ],
)
def test_a_host_is_as_described_if_nothing_would_change_and_nothing_stands_against_it(steps, judged) -> None:
    assert _judged(Run(tuple(steps)), "gpu1") == judged


def test_names_of_models_without_a_replica_in_service_are_not_asked_for() -> None:
    models = {"a": SimpleNamespace(served=("a", "b")), "c": SimpleNamespace(served=("c",))}
    fleet = SimpleNamespace(file=SimpleNamespace(models=models), replicas_of=lambda name: name == "a")
    assert list(_names(cast(Session, SimpleNamespace(fleet=fleet)))) == ["a", "b"]


@pytest.mark.parametrize(
    ("replicas", "answers"), [(("gpu1/m@1",), ["m: a completion", "m: a stream"]), ((), ["a wrong key is refused"])]
)
def test_a_refusal_is_only_an_answer_of_a_gateway_without_models(
    replicas: tuple[str, ...], answers: list[str]
) -> None:
    models = {"m": SimpleNamespace(served=("m",), task=Task.GENERATE)}
    file = SimpleNamespace(gateway=SimpleNamespace(domain="llm.test"), models=models)
    session = cast(Session, SimpleNamespace(fleet=SimpleNamespace(file=file, replicas_of=lambda _: replicas)))
    assert [case.what for case in _cases(session, "10.0.0.1", Secret("k")) if case.answer] == answers


def test_a_host_that_only_restores_has_no_backups_to_prove() -> None:
    asked: list[str] = []

    def run_on(hosts: dict[str, object], command: str) -> dict[str, HostError]:
        asked.extend(hosts)
        return {name: HostError("unreachable", where=name) for name in hosts}

    found = {}
    for snapshots in (True, False):
        settings = SETTINGS.model_copy(update={"snapshots": snapshots})
        hosts = {"gate1": SimpleNamespace(backup=settings)}
        session = SimpleNamespace(hosts=hosts, remote=SimpleNamespace(run_on=run_on))
        found[snapshots] = [proof.what for proof in _backups(cast(Session, session))]
    assert found == {True: ["it is backed up to one", "it is backed up to two"], False: []}


def test_a_host_out_of_reach_proves_nothing() -> None:
    assert _judged(Run((), {"gpu1": "no route"}), "gpu1") == (False, "no route")


def test_every_replica_of_a_host_must_serve_and_one_that_does_not_is_named_with_its_reason() -> None:
    ready = "replica=a@1\nActiveState=active\nResult=success\nstate=ready\n"
    busy = ready.replace("a@1", "a@2").replace("ready", "busy")
    faulted = busy.replace("busy", "faulted\nreason=Xid 79 of GPU 0000:44:00.0, the GPU has fallen off the bus")
    assert _all_serve(["a@1", "a@2"], parse(ready + busy)) == (True, "a@1 ready; a@2 busy")
    said = "a@1 ready; a@2 faulted: Xid 79 of GPU 0000:44:00.0, the GPU has fallen off the bus"
    assert _all_serve(["a@1", "a@2"], parse(ready + faulted)) == (False, said)
    assert _all_serve(["a@1", "a@2"], parse(ready)) == (False, "a@1 ready; a@2 not installed")


class Together:
    """Answers nothing until `count` scripts have started."""

    where = "the test"

    def __init__(self, count: int) -> None:
        self.missing, self.all_begun = count, Event()

    def shell(self, script: str, timeout: float) -> str:
        self.missing -= 1
        if self.missing <= 0:
            self.all_begun.set()
        assert self.all_begun.wait(10), f"{self.missing} more should have begun"
        marks, asked = re.findall(r"[0-9a-f]{32}", script), script.count("figures:")
        return "".join(f"\nfigures: 401 0.1 0 replica= \n{marks[0]} {number} 0\n" for number in range(asked))


def test_a_fleet_whose_models_only_clouds_answer_is_proven_by_what_it_refuses() -> None:
    file = SimpleNamespace(gateway=SimpleNamespace(domain="llm.test", vip="10.0.0.9"), models={})
    fleet = SimpleNamespace(file=file, service=lambda _: "10.0.0.1")
    session = cast(Session, SimpleNamespace(fleet=fleet, trusted="PEM"))
    proofs = [*_gateways(session, Together(2), ("gate1",), Secret("k"))]
    assert [(one.what, one.passed) for one in proofs if one.host == "vip"] == [("a wrong key is refused", True)]


def test_all_gateways_are_asked_at_the_same_time_and_told_in_order() -> None:
    models = {"m": SimpleNamespace(served=("m",), task=Task.GENERATE)}
    file = SimpleNamespace(gateway=SimpleNamespace(domain="llm.test", vip="10.0.0.9"), models=models)
    fleet = SimpleNamespace(
        file=file,
        gateways=("gate1", "gate2"),
        service=lambda gateway: f"10.0.0.{gateway[-1]}",
        replicas_of=lambda _: ("gpu1/m@1",),
    )
    session = cast(Session, SimpleNamespace(fleet=fleet, trusted="PEM"))
    proofs = [*_gateways(session, Together(3), ("gate1", "gate2"), Secret("k"))]
    told = [(gateway, what) for gateway in ("gate1", "gate2") for what in WHAT]
    assert [(proof.host, proof.what) for proof in proofs] == [*told, ("vip", "m: a completion")]

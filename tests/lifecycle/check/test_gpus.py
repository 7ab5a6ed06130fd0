from __future__ import annotations

from dataclasses import replace

import pytest

from rackwright.fleet.hosts.host_spec import HostSpec, InstalledRuntime
from rackwright.fleet.lock import RuntimeLock
from rackwright.hardware.hardware import Hardware
from rackwright.hardware.pci import parse_lspci
from rackwright.lifecycle.check.gpus import judge_gpus
from rackwright.lifecycle.check.result import Condition, State
from rackwright.roles.llama_cpp.settings import Settings as LlamaCpp
from rackwright.roles.replica.settings import Settings as Replica
from tests.hardware.outputs import hardware, output
from tests.lifecycle.check.test_requirements import HOST

CARDS = Hardware(pci=parse_lspci(output("h100-lspci.txt")))


def using(*gpus: int, cuda: str | None = None) -> HostSpec:
    """A host with one replica for each number of GPUs, all with one runtime."""
    replicas = tuple(
        Replica(
            name=f"assistant@{number}",
            model="assistant",
            user="rw-assistant",
            command=("engine",),
            readable=(),
            mount="/srv/models",
            stop_seconds=60,
            gpus=many,
        )
        for number, many in enumerate(gpus, 1)
    )
    settings = LlamaCpp(kind="llama_cpp", version="b10434", cuda=cuda)
    runtime = InstalledRuntime(settings, RuntimeLock(kind="llama_cpp", version="b10434", files=()))
    return replace(HOST, replicas=replicas, runtimes=(runtime,))


def judged(model: HostSpec, found: Hardware) -> list[tuple[str, State, str]]:
    return [(each.what, each.state, each.found) for each in judge_gpus(model, found)]


def one(model: HostSpec, found: Hardware, what: str) -> Condition:
    (condition,) = [each for each in judge_gpus(model, found) if each.what == what]
    return condition


def test_a_host_without_gpus_that_needs_none_has_no_line():
    assert judged(using(0), Hardware()) == []


def test_a_good_host():
    assert judged(
        using(1, 1, cuda="13.0"), hardware("blackwell", facts="loaded 580.95.05\nnvrm Open Kernel Module\n")
    ) == [
        ("gpu", State.OK, "2 x NVIDIA RTX PRO 6000 Blackwell Server Edition, 95.6 GiB; replicas need 2"),
        ("driver", State.OK, "580.95.05, CUDA 13.0, open module"),
        ("cuda", State.OK, "llama_cpp-b10434 is built with 13.0, driver 580.95.05 has 13.0"),
    ]


@pytest.mark.parametrize(
    ("model", "found", "says"),
    [
        (using(1, 2), hardware("blackwell"), "2 usable, replicas need 3"),
        (using(1), Hardware(), "0 usable, replicas need 1"),
        (using(9), CARDS, "8 usable, replicas need 9"),
        (
            using(2),
            hardware("a100-mig"),
            "1 usable, replicas need 2; 1 more split into MIG instances, which no replica can use",
        ),
    ],
)
def test_fewer_gpus_than_replicas_need(model: HostSpec, found: Hardware, says: str):
    condition = next(iter(judge_gpus(model, found)))
    assert (condition.what, condition.state, condition.found) == ("gpu", State.FAILED, says)
    assert condition.next == "place fewer replicas there"


def test_a_card_that_is_cut_does_no_harm_where_another_is_enough():
    states = {(what, state) for what, state, _ in judged(using(1), hardware("a100-mig"))}
    assert states == {("gpu", State.OK), ("driver", State.OK), ("gpu", State.WARNING)}


@pytest.mark.parametrize(("need", "state"), [(1, State.FAILED), (0, State.WARNING)])
def test_a_driver_that_does_not_answer_fails_only_where_it_is_needed(need: int, state: State):
    condition = one(using(need), hardware("mismatch"), "driver")
    assert condition.state is state
    assert condition.found.startswith("libraries and loaded module (580.82.07) differ: a reboot is pending")
    assert condition.next == "drain the host and reboot it"


def test_cards_without_a_driver():
    assert judged(using(8), CARDS) == [
        ("gpu", State.OK, "8 plugged in; replicas need 8"),
        ("driver", State.FAILED, "no driver is installed"),
    ]


@pytest.mark.parametrize(
    ("cuda", "state", "says"),
    [
        ("12.4", State.OK, "llama_cpp-b10434 is built with 12.4, driver 550.163.01 has 12.4"),
        ("12.8", State.WARNING, "has 12.4: runs only if the build has code for this very GPU"),
        ("13.0", State.FAILED, "llama_cpp-b10434 is built with 13.0, driver 550.163.01 has 12.4: doesn't run"),
    ],
)
def test_the_cuda_of_a_build_and_of_the_driver(cuda: str, state: State, says: str):
    condition = one(using(1, cuda=cuda), hardware("h100"), "cuda")
    assert condition.state is state
    assert says in condition.found


@pytest.mark.parametrize("model", [using(1), using(0, cuda="13.0")])
def test_no_cuda_is_asked_of_a_build_without_or_of_replicas_on_the_cpu(model: HostSpec):
    assert "cuda" not in {what for what, _, _ in judged(model, hardware("h100"))}


def test_every_finding_is_a_line_and_an_applications_fault_no_warning():
    lines = [(state, found) for what, state, found in judged(using(0), hardware("h100")) if what == "gpu"][1:]
    assert len(lines) == 9
    assert (State.WARNING, "GPU 4: PCI Express has 8 of 16 lanes") in lines
    assert (State.OK, "GPU 0: Xid 31 since boot: a program used memory that isn't its own") in lines

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from rackwright.errors import FleetError, HostError
from rackwright.fleet.fleet import Fleet, Replica
from rackwright.fleet.lock import Lock, ModelLock, model_digest
from rackwright.hardware.gpus import SmiReport
from rackwright.hardware.hardware import Hardware
from rackwright.lifecycle.check.fit import doubts, judge_fit, refuse_unfit
from rackwright.lifecycle.check.result import State
from rackwright.lifecycle.fit.procedure import Memory, Overrides, ask, fit_fleet, fit_host, memory_of
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.survey import Survey
from rackwright.remote import Remote
from rackwright.remote.completed import Completed
from rackwright.shape.shape import ModelShape
from rackwright.values.targets import Target
from tests.fit.shapes import GIB, plain
from tests.fleet.fleets import make_fleet
from tests.lifecycle.assess.hosts import gpu, hardware
from tests.remote.scripted import Scripted

VLLM = {"kind": "vllm", "version": "0.32.0"}
LLAMA_CPP = {"kind": "llama_cpp", "version": "b1", "parallel": 2}


def fleet_of(tmp_path: Path, *gpus: int, runtime: dict[str, Any] = VLLM, context: int = 8192, **hosts: Any) -> Fleet:
    """A fleet with one replica of `assistant` on gpu1 for each number of GPUs."""
    names = [f"assistant@{number + 1}" for number in range(len(gpus))]
    fleet = make_fleet(tmp_path / "site.yml", replicas={"gpu1": names, **hosts}, runtime=runtime)
    models = {name: model.model_copy(update={"context": context}) for name, model in fleet.file.models.items()}
    placed = tuple(Replica("assistant", number, "gpu1", count) for number, count in enumerate(gpus, start=1))
    others = tuple(replica for replica in fleet.replicas if replica.host != "gpu1")
    return replace(fleet, file=fleet.file.model_copy(update={"routed": models}), replicas=placed + others)


def lock_of(fleet: Fleet, shape: ModelShape | None) -> Lock:
    models = {
        name: ModelLock(source=model.source, digest=model_digest(()), files=(), shape=shape)
        for name, model in fleet.file.models.items()
    }
    return Lock(fleet="acme", models=models, runtimes={}, ports={})


def on(memory: int, count: int = 2, **other: Any) -> Hardware:
    return hardware(gpus=tuple(gpu(number, memory=memory) for number in range(count)), **other)


def test_the_smallest_card_counts_and_none_that_is_cut():
    cards = (gpu(0, memory=80), gpu(1, memory=40), gpu(2, memory=10, mig=True))
    assert memory_of(hardware(gpus=cards, memory=512)) == Memory(40, 512)
    assert memory_of(replace(hardware(), report=None, memory=0)) == Memory(None, None)
    assert memory_of(hardware(gpus=())).gpu is None


def test_replicas_that_are_alike_are_told_once(tmp_path: Path):
    fleet = fleet_of(tmp_path, 1, 1, 2)
    one, two = fit_fleet(fleet, lock_of(fleet, plain()), {"gpu1": Memory(24 * GIB, None)})
    assert (one.replicas, one.gpus) == (("gpu1/assistant@1", "gpu1/assistant@2"), 1)
    assert (two.replicas, two.gpus) == (("gpu1/assistant@3",), 2)
    assert one.fit
    assert one.fit.fits


def test_a_replica_over_several_hosts_has_a_part_on_each(tmp_path: Path):
    fleet = fleet_of(tmp_path, 2, gpu2=["other@1"])
    over = replace(fleet.replicas[0], members=("gpu1", "gpu2"))
    fleet = replace(fleet, replicas=(over,))
    memories = {"gpu1": Memory(24 * GIB, None), "gpu2": Memory(24 * GIB, None)}
    (placed,) = fit_fleet(fleet, lock_of(fleet, plain()), memories)
    assert (placed.replicas, placed.gpus) == (("gpu1/assistant@1",), 2)
    assert placed.fit
    assert (placed.fit.asked.widths.tensor, placed.fit.asked.widths.pipeline) == (2, 2)
    one, two = fit_fleet(fleet, lock_of(fleet, plain()), {**memories, "gpu2": Memory(8 * GIB, None)})
    assert one.fit
    assert two.fit
    assert (one.fit.room.memory, two.fit.room.memory) == (24 * GIB, 8 * GIB)


def test_replicas_on_the_processor_share_its_memory(tmp_path: Path):
    fleet = fleet_of(tmp_path, 0, 0, runtime=LLAMA_CPP)
    lock = lock_of(fleet, plain())
    need = 10 * GIB + 2 * GIB
    first, second = fit_host(fleet, lock, "gpu1", Memory(None, (2 * need + GIB) * 10 // 9))
    assert first.fit
    assert second.fit
    assert (first.fit.fits, second.fit.fits) == (True, True)
    assert second.fit.room.memory == first.fit.room.memory - first.fit.taken
    first, second = fit_host(fleet, lock, "gpu1", Memory(None, (2 * need - GIB) * 10 // 9))
    assert first.fit
    assert second.fit
    assert (first.fit.fits, second.fit.fits) == (True, False)


@pytest.mark.parametrize(
    ("gpus", "shape", "memory", "doubt"),
    [
        (1, None, Memory(GIB, GIB), "the lock has no shape of it; rackwright lock adds it"),
        (1, plain(), Memory(None, GIB), "the memory of its GPUs isn't known until a driver runs"),
        (0, plain(), Memory(GIB, None), "the host's memory isn't known; rackwright fit --ram"),
        (
            1,
            plain(unknown="rackwright doesn't know the cache layout of mystery", layers=()),
            Memory(80 * GIB, GIB),
            "rackwright doesn't know the cache layout of mystery",
        ),
    ],
)
def test_what_cannot_be_told_says_why(
    tmp_path: Path, gpus: int, shape: ModelShape | None, memory: Memory, doubt: str
):
    fleet = fleet_of(tmp_path, gpus)
    (placed,) = fit_host(fleet, lock_of(fleet, shape), "gpu1", memory)
    assert (placed.doubt or "").startswith(doubt)
    assert placed.fit is None or placed.fit.fits is None


def test_the_command_line_stands_in_for_the_fleet_file(tmp_path: Path):
    fleet = fleet_of(tmp_path, 1)
    memories = {"gpu1": Memory(80 * GIB, None)}
    (placed,) = fit_fleet(fleet, lock_of(fleet, plain()), memories, overrides=Overrides(4096, 12))
    assert placed.fit
    assert (placed.fit.asked.context, placed.fit.asked.parallel, placed.fit.asked.must_hold) == (4096, 12, 12)


def test_hosts_are_asked_once_and_who_does_not_answer_is_told():
    def reply(command: str, stdin: bytes) -> Completed:
        raise HostError("no route to host", where="gpu2")

    def answer(target: Target) -> Scripted:
        return Scripted(reply) if target.name == "gpu2" else Scripted()

    targets = [Target("gpu1", "10.0.0.1"), Target("gpu2", "10.0.0.2")]
    with Remote(targets, transport=answer) as remote:
        memories, unreachable = ask(remote, ("gpu1", "gpu2"))
    assert memories == {"gpu1": Memory(None, None)}
    assert unreachable == {"gpu2": "no route to host"}


def session_of(fleet: Fleet, shape: ModelShape | None) -> Session:
    return Session(fleet, lock_of(fleet, shape), {}, cast("Any", None), cast("Any", None))


def survey_of(**hosts: Hardware) -> Survey:
    return Survey({name: cast("Any", type("Host", (), {"hardware": found})) for name, found in hosts.items()}, {})


def test_what_fits_is_one_line(tmp_path: Path):
    fleet = fleet_of(tmp_path, 1, 1)
    (condition,) = judge_fit(fleet, lock_of(fleet, plain()), "gpu1", on(24 * GIB))
    assert (condition.what, condition.state, condition.next) == ("fit", State.OK, None)
    assert condition.found.startswith("assistant: 10.7 GB of weights and 1.1 GB of cache; ")
    refuse_unfit(session_of(fleet, plain()), survey_of(gpu1=on(24 * GIB)))
    assert doubts(session_of(fleet, plain()), survey_of(gpu1=on(24 * GIB))) == ()


def test_what_does_not_fit_is_refused_with_the_smallest_change(tmp_path: Path):
    fleet = fleet_of(tmp_path, 1, 1, context=131_072)
    (condition,) = judge_fit(fleet, lock_of(fleet, plain()), "gpu1", on(24 * GIB))
    assert condition.state is State.FAILED
    assert condition.found.startswith("assistant doesn't fit: 10.7 GB of weights, about ")
    assert "17.2 GB of cache for 1 x 131072 tokens; each GPU has 23.2 GB for it" in condition.found
    assert (condition.next or "").endswith("instead of 131072 · rackwright fit assistant")
    with pytest.raises(FleetError) as raised:
        refuse_unfit(session_of(fleet, plain()), survey_of(gpu1=on(24 * GIB)))
    (problem,) = raised.value.problems
    assert (problem.where, problem.next) == ("gpu1: models.assistant", "rackwright fit assistant")
    assert problem.what.startswith("doesn't fit there: ")
    assert (problem.should or "").startswith("context: ")


def test_every_host_and_model_that_does_not_fit_is_named_at_once(tmp_path: Path):
    fleet = fleet_of(tmp_path, 1, runtime=LLAMA_CPP, cpu1=["other@1"])
    tight = survey_of(gpu1=on(8 * GIB), cpu1=replace(on(8 * GIB), memory=8 * GIB))
    with pytest.raises(FleetError) as raised:
        refuse_unfit(session_of(fleet, plain()), tight)
    assert [problem.where for problem in raised.value.problems] == ["gpu1: models.assistant", "cpu1: models.other"]


def test_what_is_close_is_a_warning_and_not_refused(tmp_path: Path):
    """The estimate of what vLLM needs in addition to weights and cache may be wrong by half."""
    fleet = fleet_of(tmp_path, 1)
    lock = lock_of(fleet, plain())
    (placed,) = fit_host(fleet, lock, "gpu1", Memory(24 * GIB, None))
    assert placed.fit
    close = on(int((placed.fit.taken - placed.fit.overhead // 4) / 0.9))
    (condition,) = judge_fit(fleet, lock, "gpu1", close)
    assert condition.state is State.WARNING
    refuse_unfit(session_of(fleet, plain()), survey_of(gpu1=close))
    (doubt,) = doubts(session_of(fleet, plain()), survey_of(gpu1=close))
    assert doubt.startswith("assistant: might not fit, it is close: ")


def test_what_is_not_known_warns_and_is_not_refused(tmp_path: Path):
    fleet = fleet_of(tmp_path, 1, 1)
    unknown = plain(unknown="rackwright doesn't know the cache layout of mystery", layers=())
    (condition,) = judge_fit(fleet, lock_of(fleet, unknown), "gpu1", on(24 * GIB))
    assert (condition.state, condition.found) == (
        State.WARNING,
        "assistant: rackwright doesn't know the cache layout of mystery",
    )
    survey = survey_of(gpu1=on(24 * GIB))
    refuse_unfit(session_of(fleet, unknown), survey)
    assert doubts(session_of(fleet, unknown), survey) == (
        "assistant: rackwright doesn't know the cache layout of mystery",
    )
    assert len(doubts(session_of(fleet, None), survey)) == 1


def test_before_a_driver_runs_nothing_is_refused_and_no_doubt_told(tmp_path: Path):
    fleet = fleet_of(tmp_path, 1)
    bare = replace(on(GIB), report=None)
    refuse_unfit(session_of(fleet, plain()), survey_of(gpu1=bare))
    assert doubts(session_of(fleet, plain()), survey_of(gpu1=bare)) == ()
    (condition,) = judge_fit(fleet, lock_of(fleet, plain()), "gpu1", bare)
    assert condition.state is State.WARNING


def test_a_report_without_cards_is_no_memory():
    assert memory_of(Hardware(report=SmiReport("580", "13.0", ()), memory=7)) == Memory(None, 7)


def test_a_tenth_of_a_hosts_memory_and_at_least_a_gigabyte_is_not_for_engines():
    assert Memory(None, 256 * 10**9).for_engines == 256 * 9 * 10**8
    assert Memory(None, 4 * 10**9).for_engines == 3 * 10**9

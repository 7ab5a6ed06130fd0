from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rackwright.errors import ProofError
from rackwright.launch import Task
from rackwright.lifecycle.proof.golden_answers import kind_of
from rackwright.lifecycle.proof.identity import identity_of
from rackwright.lifecycle.proof.procedure import answers, prove
from rackwright.remote.completed import Completed
from rackwright.state.golden import golden_path, read_golden
from rackwright.state.shell import FOLDER
from tests.lifecycle.proving import Moved, Told, over_both, shown, site_of


def completion(token: str, **likeliest: float) -> str:
    top = [{"token": text, "logprob": logprob} for text, logprob in ({token: -0.1} | likeliest).items()]
    return json.dumps(
        {"choices": [{"text": token, "logprobs": {"content": [{"token": token, "top_logprobs": top}]}}]}
    )


class Proving:
    """A site whose hosts report the expected values, except where a test changes them."""

    def __init__(self, folder: Path) -> None:
        self.session = site_of({"gate1": Moved(folder=folder)})
        self.first, self.second = self.session.fleet.replicas
        self.said: list[str] = []
        for host in ("gpu1", "gpu2"):
            self.shows(host, completion("orange"))

    def shows(self, host: str, answer: str = "", *, errors: str = "", **other: str) -> None:
        output = shown(identity_of(self.session, self.first, host), answer, **other)
        self.session.remote.by_name[host] = Told(Completed(0, output.encode(), errors.encode(), host))

    def prove(self, replica: Any = None, run: str | None = None) -> str | None:
        return prove(self.session, replica or self.first, run=run, say=self.said.append)

    @property
    def control(self) -> Moved:
        return self.session.remote.connection("gate1")


@pytest.fixture
def proving(tmp_path: Path) -> Proving:
    return Proving(tmp_path)


def test_without_a_run_nothing_is_recorded_and_an_answer_is_enough(proving: Proving) -> None:
    assert proving.prove() is None
    assert proving.said == ["no answer of its kind is recorded yet"]
    assert read_golden(proving.session.store, kind_of(proving.session, proving.first)) is None


def test_the_first_answer_of_a_run_is_recorded_and_the_same_one_is_proven(proving: Proving) -> None:
    assert proving.prove(run="r1") is None
    assert proving.prove(proving.second, run="r2") is None
    assert proving.said == ["its answer is the first of its kind, and recorded: 'orange'"]
    golden = read_golden(proving.session.store, kind_of(proving.session, proving.first))
    assert golden is not None
    assert (golden.who, golden.run, golden.replica) == ("ada", "r1", "gpu1/assistant@1")


def test_an_embedding_is_compared_with_the_recorded_one(proving: Proving) -> None:
    models = proving.session.fleet.file.routed
    text = kind_of(proving.session, proving.first)
    models["assistant"] = models["assistant"].model_copy(update={"task": Task.EMBED})
    assert kind_of(proving.session, proving.first).settings == (*text.settings, "task=embed/1")
    proving.shows("gpu1", '{"data": [{"embedding": [0.6, 0.8]}]}')
    assert proving.prove(run="r1") is None
    assert proving.said == ["its answer is the first of its kind, and recorded: an embedding of 2 numbers"]
    proving.shows("gpu2", '{"data": [{"embedding": [0.8, 0.6]}]}')
    with pytest.raises(ProofError, match=r"their cosine is 0\.9600"):
        proving.prove(proving.second, run="r2")


def test_a_near_tie_is_proven_and_said(proving: Proving) -> None:
    proving.prove(run="r1")
    proving.shows("gpu2", completion("pink", orange=-0.14))
    assert proving.prove(proving.second) is None
    assert proving.said[-1] == "its answer differs from token 1 on: a near tie (0.04 nats)"


def test_another_answer_is_refused_with_both(proving: Proving) -> None:
    proving.prove(run="r1")
    proving.shows("gpu2", completion("7"))
    with pytest.raises(ProofError) as refused:
        proving.prove(proving.second, run="r2")
    (problem,) = refused.value.problems
    assert problem.where == "gpu2/assistant@1"
    assert problem.what.startswith("answers '7', but 'orange' is recorded (20")
    assert problem.what.endswith(
        ", gpu1/assistant@1); differs from token 1 on: '7', but 'orange' is not among the likeliest"
    )
    path = f"{FOLDER}/{golden_path(kind_of(proving.session, proving.first))}"
    assert problem.should is not None
    assert problem.should.endswith(f"if the new answer is right, remove {path} on gate1")


@pytest.mark.parametrize(
    ("output", "errors", "reason"),
    [
        ('{"error":\n "Loading model"}', "", '{"error": "Loading model"}'),
        ("", "curl: (7) Couldn't connect\n", "curl: (7) Couldn't connect"),
        ("", "", "no answer came back"),
    ],
)
def test_without_an_answer_there_is_a_reason_and_nothing_recorded(
    proving: Proving, output: str, errors: str, reason: str
) -> None:
    proving.shows("gpu1", output, errors=errors)
    assert proving.prove(run="r1") == reason
    assert read_golden(proving.session.store, kind_of(proving.session, proving.first)) is None


def test_one_that_does_not_run_is_waited_for(proving: Proving) -> None:
    proving.shows("gpu1", completion("orange"), MainPID="0", ActiveState="activating")
    assert proving.prove(run="r1") == "its unit is activating"


@pytest.mark.parametrize("status", [-1, 137])
def test_a_look_that_was_cut_off_proves_nothing_and_refutes_nothing(proving: Proving, status: int) -> None:
    """Its first lines alone look like an engine that runs from folders that were never verified."""
    unit = identity_of(proving.session, proving.first, "gpu1").unit
    half = f"ActiveState=active\nMainPID=7\nstarted={unit}\n"
    proving.session.remote.by_name["gpu1"] = Told(Completed(status, half.encode(), b"", "gpu1"))
    assert proving.prove(run="r1") == "its unit is not known: the look at it was interrupted"
    assert answers(proving.session, proving.first) == "the look at it was interrupted"


def test_another_process_under_the_right_unit_is_refused_before_its_answer_counts(proving: Proving) -> None:
    proving.shows("gpu1", completion("orange"), program="/opt/x (deleted)")
    with pytest.raises(ProofError, match="gpu1/assistant@1: its program /opt/x was replaced after it started"):
        proving.prove(run="r1")
    assert read_golden(proving.session.store, kind_of(proving.session, proving.first)) is None


def test_of_a_replica_over_several_hosts_each_member_counts(proving: Proving) -> None:
    replica = over_both(proving.session)
    proving.shows("gpu2", MainPID="0", ActiveState="failed")
    assert proving.prove(replica) == "gpu2: its unit is failed"
    proving.shows("gpu2", program="/opt/x (deleted)")
    with pytest.raises(ProofError, match="gpu2: its program /opt/x was replaced"):
        proving.prove(replica)
    proving.shows("gpu2")
    assert proving.prove(replica) is None


def test_engines_of_other_settings_weights_or_processors_are_of_another_kind() -> None:
    session = site_of({})
    kind = kind_of(session, session.fleet.replicas[0])
    assert kind == kind_of(session, session.fleet.replicas[1])
    assert (kind.runtime, kind.build, kind.processor, kind.settings) == ("llama_cpp-b1", "b" * 64, "cpu", ())

    def other(**runtime: Any) -> tuple[str, ...]:
        changed = site_of({}, runtime={"kind": "llama_cpp", "version": "b1", **runtime})
        return kind_of(changed, changed.fleet.replicas[0]).settings

    assert other(parallel=9, threads=3) == ()
    assert other(args={"flash-attn": "on"}) == ('args={"flash-attn": "on"}',)

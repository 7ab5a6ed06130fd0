from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rackwright.errors import ProofError
from rackwright.fleet.sections.objectives import Objectives
from rackwright.lifecycle.bench import Benched
from rackwright.lifecycle.bench.objectives import verdicts
from rackwright.lifecycle.verify import acceptance
from rackwright.lifecycle.verify.acceptance import accept
from rackwright.lifecycle.verify.procedure import Proof
from tests.fleet.fleets import make_fleet
from tests.lifecycle.bench.steps import bench, step

OBJECTIVES = {"ttft_p95": "200ms", "errors": "0%", "rate": 2}
OBJECTIVES_READ = Objectives.model_validate(OBJECTIVES)


@dataclass
class Session:
    fleet: Any


def session(folder: Path, **objectives: dict[str, Any] | None) -> Any:
    """A site with these models, each with its objectives."""
    fleet = make_fleet(folder / "site.yml", replicas={"gpu1": [f"{name}@1" for name in objectives]})
    models = {
        name: model.model_copy(update={"objectives": Objectives.model_validate(said) if said else None})
        for (name, said), model in zip(sorted(objectives.items()), fleet.file.models.values(), strict=True)
    }
    object.__setattr__(fleet.file, "routed", models)
    return Session(fleet)


def accepted(session: Any) -> tuple[tuple[Proof, ...], list[str]]:
    said: list[str] = []
    told: list[Proof] = []
    proofs = accept(session, None, told.append, said.append)
    assert tuple(told) == proofs
    return proofs, said


def test_each_objective_is_a_proof_with_what_was_found_and_wanted(tmp_path, monkeypatch):
    asked = []

    def measured(session: Any, asker: Any, wanted: Any, told: Any) -> Benched:
        asked.append(wanted)
        found = bench(step(2, latency=0.6))
        return Benched(found, verdicts(found.judged, session.fleet.file.models[wanted.model].objectives), ())

    monkeypatch.setattr(acceptance, "bench", measured)
    proofs, said = accepted(session(tmp_path, first=OBJECTIVES, second=None))
    under = "with 100 requests, 2 a second"
    assert proofs == (
        Proof("gate1", f"first: ttft_p95 at most 200 ms, {under}", False, "300 ms"),
        Proof("gate1", f"first: errors at most 0.00%, {under}", True, "0.00% (0 of 1000)"),
    )
    assert [wanted.model for wanted in asked] == ["first"]
    assert (asked[0].load.rate, asked[0].load.requests) == (2, 100)
    assert said == ["first: 100 requests, 2 a second", "second has no objectives in the fleet file: not tested"]


def test_a_model_that_does_not_answer_is_a_failed_proof_and_the_next_is_tried(tmp_path, monkeypatch):
    def measured(session: Any, asker: Any, wanted: Any, told: Any) -> Benched:
        raise ProofError("no replica takes requests", where=wanted.model)

    monkeypatch.setattr(acceptance, "bench", measured)
    proofs, _ = accepted(session(tmp_path, first=OBJECTIVES, second=OBJECTIVES))
    assert [(proof.what.partition(":")[0], proof.passed, proof.found) for proof in proofs] == [
        ("first", False, "no replica takes requests"),
        ("second", False, "no replica takes requests"),
    ]


def test_without_objectives_nothing_is_measured(tmp_path):
    assert accepted(session(tmp_path, first=None)) == (
        (),
        ["first has no objectives in the fleet file: not tested"],
    )


def test_what_clients_ask_is_named_as_the_other_proofs_name_it(tmp_path, monkeypatch):
    monkeypatch.setattr(acceptance, "bench", lambda *_: Benched(bench(), verdicts(step(1), OBJECTIVES_READ), ()))
    tried = session(tmp_path, first=OBJECTIVES)
    gateway = tried.fleet.file.gateway.model_copy(update={"vip": "10.0.0.250"})
    object.__setattr__(tried.fleet.file, "gateway", gateway)
    proofs, _ = accepted(tried)
    assert {proof.host for proof in proofs} == {"vip"}


@pytest.mark.parametrize("count", [1, 3])
def test_models_are_tried_one_after_another(tmp_path, monkeypatch, count):
    running: list[str] = []

    def measured(session: Any, asker: Any, wanted: Any, told: Any) -> Benched:
        running.append(wanted.model)
        return Benched(bench(), (), ())

    monkeypatch.setattr(acceptance, "bench", measured)
    names = [f"m{number}" for number in range(count)]
    accepted(session(tmp_path, **dict.fromkeys(names, OBJECTIVES)))
    assert running == names

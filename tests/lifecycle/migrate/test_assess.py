"""An assessment: what traffic uses, tried on a stand-in that does or doesn't do it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rackwright.errors import FleetError, ProofError, RackwrightError
from rackwright.lifecycle.migrate.assess import assess, assess_offline
from rackwright.lifecycle.migrate.place import Place
from rackwright.lifecycle.migrate.probe_features import parsed
from rackwright.migrate.assessment import Assessed
from tests.lifecycle.migrate.desk_ends import Agreeing, DeskEnds, desk_with_ends
from tests.lifecycle.migrate.desks import Desk
from tests.lifecycle.migrate.ends import Ends, request
from tests.stand_in_cloud import Fault

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture
def made(desk: Desk, ends: Ends, monkeypatch: pytest.MonkeyPatch) -> DeskEnds:
    return desk_with_ends(desk, ends, monkeypatch)


def opened(made: DeskEnds) -> Place:
    return made.desk.open()


def statuses(found: Assessed) -> dict[str, str]:
    return {one.name: one.status for moved in found.moved for one in moved.features}


def test_features_in_use_are_tried(made: DeskEnds) -> None:
    made.record(
        request(1, tools=[TOOL]),
        request(2, stream=True),
        request(3, stream=True, store=True),
        request(4, top_k=3),
        request(5, functions=[TOOL["function"]]),
        request(6, model="o3"),
    )
    console = Agreeing()
    place = made.desk.open(console)
    found = assess(place)
    assert found.probed
    by_name = statuses(found)
    assert by_name["endpoint.chat"] == "ok"
    assert by_name["tools"] == "ok"
    assert by_name["stream"] == "ok"
    # The stand-in ignores it; what no answer shows is known of llama.cpp.
    assert by_name["functions"] == "ignored"
    assert by_name["store"] == "ignored"
    assert found.unmapped == {"o3": 1}
    (moved,) = found.moved
    assert (moved.model, moved.target, moved.runtime, moved.context) == (
        "gpt-4o-mini",
        "assistant",
        "llama_cpp",
        2048,
    )
    assert sorted(one.split(": ")[1] for one in found.blocking) == [
        "functions is ignored",
        "store is ignored",
        "unknown.top_k is ignored",
    ]
    # Only what is used was asked, once, and nothing of the records was sent.
    asked = [json.loads(one.body) for one in made.ends.fleet.completions()]
    assert len(asked) == 4
    assert not any("Question" in json.dumps(one) for one in asked)
    assert not made.ends.cloud.completions()
    assert found.provider is not None
    assert {one.access for one in found.provider.objects} == {"listed"}
    # It is noted, and has no text of a request.
    noted = opened(made).result("assess", Assessed)
    assert noted == found
    assert "Question" not in found.model_dump_json()


def test_a_waiver_with_a_reason_lets_it_pass(made: DeskEnds) -> None:
    made.record(request(1, store=True))
    assert assess(opened(made)).blocking
    made.desk.edit("currency", "waivers: {store: nobody lists them}\ncurrency")
    found = assess(opened(made))
    assert not found.blocking
    assert [one.waiver for one in found.moved[0].features if one.name == "store"] == ["nobody lists them"]


def test_a_rejected_feature_blocks(made: DeskEnds) -> None:
    made.record(request(1, n=2))
    made.ends.fleet.faults.append(Fault("status", status=400, times=-1))
    found = assess(opened(made))
    assert statuses(found) == {"endpoint.chat": "rejected", "n": "rejected"}
    assert len(found.blocking) == 2


def test_many_errors_of_the_server_are_answers_to_probes(made: DeskEnds) -> None:
    """llama-server says with 500 that it can't do something, and a replay would stop after ten."""
    made.record(request(1, tools=[TOOL], tool_choice="required", n=2, stop=["x"], logprobs=True, top_logprobs=2))
    made.ends.fleet.faults.append(Fault("status", status=500, times=-1))
    found = assess(opened(made))
    assert len(statuses(found)) >= 5
    assert "ok" not in statuses(found).values()


def test_requests_that_are_too_long_block(made: DeskEnds) -> None:
    made.record(request(1, max_tokens=4000))
    found = assess(opened(made))
    assert found.blocking == ("gpt-4o-mini → assistant: 1 request may not fit into 2048 tokens (waiver: context)",)
    made.desk.edit("currency", "waivers: {context: they never need it}\ncurrency")
    assert not assess(opened(made)).blocking


def test_offline_asks_nobody(made: DeskEnds) -> None:
    made.record(request(1, store=True, n=2))
    place = opened(made)
    found = assess_offline(place.session.fleet, place.plan, place.folder)
    assert not found.probed
    assert found.provider is None
    assert statuses(found)["store"] == "ignored"
    assert not made.ends.fleet.received
    assert not made.ends.cloud.received
    assert not place.entries()


def test_a_fleet_that_does_not_answer(made: DeskEnds) -> None:
    made.record(request(1))
    made.ends.fleet.faults.append(Fault("reset", times=-1))
    with pytest.raises(ProofError, match="doesn't answer"):
        assess(opened(made))
    assert not opened(made).entries()


def test_no_records(made: DeskEnds) -> None:
    with pytest.raises(RackwrightError, match="has no recorded request"):
        assess(opened(made))


def test_a_model_without_a_replica(made: DeskEnds) -> None:
    made.desk.edit("models: {gpt-4o-mini: assistant}", "models: {gpt-4o-mini: chat}")
    made.record(request(1))
    with pytest.raises(FleetError, match="chat has no replica yet"):
        assess(opened(made))


def test_any_number_of_features_can_be_kept(made: DeskEnds) -> None:
    made.record(*(request(number, **_field(number)) for number in range(400)))
    found = assess(opened(made))
    assert len(found.moved[0].features) <= 152
    assert sum(one.requests for one in found.moved[0].features) == 800


def _field(number: int) -> dict[str, Any]:
    return {f"field_{number}": 1}


@pytest.mark.parametrize(
    ("content", "chunks"),
    [
        (b'data: {"a": 1}\n\ndata: [DONE]\n\n', [{"a": 1}]),
        (b"data: {\n\ndata: 7\n\n", [None, 7]),
        (b'{"error": 1}', {"error": 1}),
        (b"\xff", None),
    ],
)
def test_chunks_of_a_stream(content: bytes, chunks: Any) -> None:
    assert parsed(content, streamed=True) == chunks

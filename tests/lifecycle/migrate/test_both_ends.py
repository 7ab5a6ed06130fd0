"""A score asks both ends with the plan's budget."""

from __future__ import annotations

import json

import pytest

from rackwright.errors import RackwrightError
from rackwright.lifecycle.migrate.lane import Stop
from rackwright.lifecycle.migrate.score.both_ends import Ends
from rackwright.lifecycle.migrate.sender import Got
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.score.request_checks import usable
from tests.lifecycle.migrate.desks import Desk
from tests.migrate.score.answers import request


class StandInLane:
    """A stand-in for an end: it answers with the name of the model that it was asked for, or stops."""

    def __init__(self, *, stops: bool = False, status: int = 200) -> None:
        self.stops, self.status = stops, status
        self.models: list[str] = []

    def ask(self, path: str, body: bytes) -> Got:
        if self.stops:
            raise Stop("the cloud refuses the key with 401")
        assert path == "/v1/chat/completions"
        self.models.append(json.loads(body)["model"])
        message = {"role": "assistant", "content": self.models[-1]}
        usage = {"prompt_tokens": 10, "completion_tokens": 5}
        answer = {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}
        return Got(self.status, json.dumps(answer).encode())


def ends(desk: Desk, cloud: StandInLane, fleet: StandInLane, left: float = 50.0) -> Ends:
    lanes = {"cloud": cloud, "fleet": fleet}
    return Ends(desk.open().plan, {"gpt-4o-mini": "assistant"}, lanes, left, desk.say)  # type: ignore[arg-type]


def asked(*names: str) -> list[RecordedRequest]:
    return [request(name, max_tokens=5) for name in names]


def test_each_side_is_asked_by_its_own_name_and_answers_come_by_request(desk: Desk) -> None:
    cloud, fleet = StandInLane(), StandInLane()
    both = ends(desk, cloud, fleet)
    assert {name: one.text for name, one in both("cloud", asked("a", "b")).items()} == {
        "a": "gpt-4o-mini",
        "b": "gpt-4o-mini",
    }
    assert both("fleet", asked("a"))["a"].text == "assistant"
    # A judge is asked for by its own name.
    judge = request("j").model_copy(update={"model": "judge"})
    assert both("fleet", [judge])["j"].text == "judge"


def test_the_cloud_is_not_asked_for_more_than_is_left_of_the_budget(desk: Desk) -> None:
    cloud = StandInLane()
    both = ends(desk, cloud, StandInLane(), left=1e-9)
    with pytest.raises(RackwrightError, match="the golden set may cost"):
        both("cloud", asked("a"))
    assert not cloud.models
    assert both("fleet", asked("a"))


def test_what_the_cloud_charged_is_counted(desk: Desk) -> None:
    both = ends(desk, StandInLane(), StandInLane())
    both("cloud", asked("a", "b"))
    # Twice 10 x 0.15 and 5 x 0.60 per million.
    assert both.left == pytest.approx(50 - 2 * (10 * 0.15 + 5 * 0.6) / 1e6, abs=1e-12)


def test_a_failed_answer_is_an_answer_and_an_end_that_stops_is_not(desk: Desk) -> None:
    both = ends(desk, StandInLane(stops=True), StandInLane(status=503))
    assert not usable(both("fleet", asked("a"))["a"])
    with pytest.raises(RackwrightError, match="refuses the key with 401"):
        both("cloud", asked("a"))

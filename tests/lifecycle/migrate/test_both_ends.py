"""A score asks both ends with the plan's budget."""

from __future__ import annotations

import json

import pytest

from rackwright.errors import RackwrightError
from rackwright.lifecycle.migrate.replay.lane import Stop
from rackwright.lifecycle.migrate.replay.sender import Got
from rackwright.lifecycle.migrate.score.both_ends import Ends
from rackwright.lifecycle.migrate.score.golden_cost import GoldenCost
from rackwright.migrate.asking.outcome import Outcome
from rackwright.migrate.asking.spent import Spent
from rackwright.migrate.asking.stopped import Stopped
from rackwright.migrate.asking.way import Way, way_of
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.score.request_checks import usable
from tests.lifecycle.migrate.desks import Desk
from tests.migrate.score.answers import request


class StandInLane:
    """A stand-in for an end: it answers with the name of the model that it was asked for, or stops."""

    def __init__(self, *, stops: bool = False, status: int = 200) -> None:
        self.stops, self.status = stops, status
        self.models: list[str] = []
        self.bodies: list[set[str]] = []

    def ask(self, path: str, body: bytes) -> Got:
        if self.stops:
            raise Stop(Stopped(kind="key refused", side="cloud", detail="401"))
        assert path == "/v1/chat/completions"
        self.models.append(json.loads(body)["model"])
        self.bodies.append(set(json.loads(body)))
        message = {"role": "assistant", "content": self.models[-1]}
        usage = {"prompt_tokens": 10, "completion_tokens": 5}
        answer = {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}
        return Got(self.status, json.dumps(answer).encode())


def ends(desk: Desk, cloud: StandInLane, fleet: StandInLane) -> Ends:
    place, lanes = desk.open(), {"cloud": cloud, "fleet": fleet}
    names = {"gpt-4o-mini": "assistant"}
    return Ends(place.plan, names, way_of(place.plan, None), lanes, GoldenCost(place))  # type: ignore[arg-type]


def spent(desk: Desk) -> Spent:
    found = desk.open().result("golden", Spent)
    assert found is not None
    return found


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
    replayed = Outcome(recorded=1, sample=1, currency="EUR", spent=20.0, reserved=30.0)
    desk.open().note("replay", "interrupted", replayed)
    both = ends(desk, cloud, StandInLane())
    with pytest.raises(RackwrightError, match=r"the golden set may cost .*, and 0\.00 are left") as refused:
        both("cloud", asked("a"))
    assert refused.value.problems[0].next == "raise replay.budget, then rackwright migrate score support"
    assert not cloud.models
    assert both("fleet", asked("a"))


def test_what_the_cloud_charged_is_noted_and_no_replay_is_fresher_for_it(desk: Desk) -> None:
    # Twice 10 x 0.15 and 5 x 0.60 per million.
    charged = 2 * (10 * 0.15 + 5 * 0.6) / 1e6
    ends(desk, StandInLane(), StandInLane())("cloud", asked("a", "b"))
    assert spent(desk).model_dump(exclude={"format"}) == {
        "currency": "EUR",
        "spent": pytest.approx(charged),
        "reserved": 0,
    }
    ends(desk, StandInLane(), StandInLane())("cloud", asked("a", "b"))
    assert spent(desk).spent == pytest.approx(2 * charged)
    assert [entry.step for entry in desk.open().entries()] == ["init", *["golden"] * 4]
    assert GoldenCost(desk.open()).left() == pytest.approx(50 - 2 * charged)


def test_a_score_that_is_killed_counts_with_all_that_it_may_have_cost(desk: Desk) -> None:
    class Killed(BaseException):
        pass

    def killed(path: str, body: bytes) -> Got:
        raise Killed

    cloud = StandInLane()
    cloud.ask = killed  # type: ignore[method-assign]
    both = ends(desk, cloud, StandInLane())
    both.golden_cost.settle = lambda cost: None  # type: ignore[method-assign]
    with pytest.raises(Killed):
        both("cloud", asked("a"))
    assert spent(desk).reserved > 0
    assert GoldenCost(desk.open()).left() == pytest.approx(50 - spent(desk).reserved)
    desk.edit("EUR", "USD")
    with pytest.raises(RackwrightError, match="should stay EUR"):
        GoldenCost(desk.open()).left()


def test_a_failed_answer_is_an_answer_and_an_end_that_stops_is_not(desk: Desk) -> None:
    both = ends(desk, StandInLane(stops=True), StandInLane(status=503))
    assert not usable(both("fleet", asked("a"))["a"])
    with pytest.raises(RackwrightError, match="refuse the temporary key with 401") as stopped:
        both("cloud", asked("a"))
    assert stopped.value.problems[0].next == "rackwright check, then rackwright migrate score support"
    assert (spent(desk).spent, spent(desk).reserved) == (0, 0)


def test_only_the_fleet_is_asked_as_the_map_says(desk: Desk) -> None:
    cloud, fleet = StandInLane(), StandInLane()
    both = ends(desk, cloud, fleet)
    both.way = Way("openai", {"gpt-4o-mini": "assistant"}, {"gpt-4o-mini": ("n",)})
    for side in ("cloud", "fleet"):
        both(side, [request("a", n=2)])  # type: ignore[arg-type]
    assert ["n" in body for body in (*cloud.bodies, *fleet.bodies)] == [True, False]

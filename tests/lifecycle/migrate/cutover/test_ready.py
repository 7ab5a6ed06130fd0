"""What a cutover needs before a share, all of it at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.cli.render.migrate_report.cutover_text import preview_document, preview_lines
from rackwright.errors import ProofError
from rackwright.lifecycle.migrate.cutover.procedure import cutover
from rackwright.lifecycle.migrate.cutover.ready import Preview
from rackwright.lifecycle.migrate.cutover.rollback import pause, rollback
from rackwright.migrate.capacity.result import Cache, CapacityFound, Extrapolated, Measured, ModelCapacity
from rackwright.migrate.score.result import Scored
from rackwright.verdict import Word
from tests.lifecycle.migrate.cutover.world import Made, made
from tests.lifecycle.migrate.desks import Desk
from tests.lifecycle.migrate.test_standing import assessed, record, replayed


def in_fleet(desk: Desk, old: str, new: str) -> None:
    text = Path(desk.path).read_text()
    assert old in text
    desk.path.write_text(text.replace(old, new))


def scored(word: Word = Word.PASS) -> Scored:
    return Scored(
        word=word,
        why="because",
        margin=5,
        least=40,
        chance=0.9,
        wide_chance=0.99,
        requests=50,
        fleet_failed=0,
        segments=(),
    )


def capacity(peak: float, goodput: float | None, *, spare: int = 0) -> CapacityFound:
    measured = Measured(
        replica="gpu1/assistant@1",
        tool="x",
        window_start=0,
        window_seconds=60,
        requests=1,
        speeds=(),
        goodput=goodput,
    )
    model = ModelCapacity(
        model="assistant",
        instead_of=("gpt-4o-mini",),
        planned=1,
        measured=measured,
        extrapolated=Extrapolated(sampled=100, peak=peak, headroom=0, spare=spare),
        cache=Cache(largest=1, typical=1, counted=1, context=9),
    )
    return CapacityFound(models=(model,))


def measure(desk: Desk, *, word: Word = Word.PASS, found: CapacityFound | None = None) -> None:
    record(desk)
    desk.open().note("assess", "done", assessed())
    desk.open().note("replay", "done", replayed())
    desk.open().note("score", "done", scored(word))
    desk.open().note("capacity", "done", found or capacity(1, 10))


@pytest.fixture
def at(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Made:
    in_fleet(desk, "    context: 2048\n", "    context: 2048\n    cloud: openai\n")
    in_fleet(desk, "[assistant, gpt-4o-mini]", "[gpt-4o-mini]")
    return made(desk, monkeypatch)


def shown(at: Made, first: float | None = None, *, resume: bool = False) -> Preview:
    return cutover(at.desk.open(), at.world, execute=False, first=first, resume=resume)


def what(found: Preview) -> list[str]:
    return [f"{one.where}: {one.what}" for one in found.problems]


def test_with_everything_measured_only_the_way_back_is_missing(at: Made) -> None:
    measure(at.desk)
    found = shown(at)
    assert found.problems == ()
    assert [(step.share, [one.what for one in step.problems]) for step in found.steps] == [
        (5, []),
        (25, []),
        (50, []),
        (100, ["the way back was not tried in this migration"]),
    ]
    assert all(not gateway.change for gateway in at.world.gateways.values())


def test_all_that_is_missing_is_said_at_once_and_nothing_is_touched(at: Made) -> None:
    at.world.gateways["gate2"].panic = True
    in_fleet(at.desk, "    cloud: openai\n", "")
    with pytest.raises(ProofError) as raised:
        cutover(at.desk.open(), at.world, execute=True)
    said = str(raised.value)
    assert "the gateways pass no gpt-4o-mini to the cloud openai" in said
    assert "gate2: has a panic file" in said
    assert "support assess: there is none" in said
    assert all(not gateway.change for gateway in at.world.gateways.values())
    assert not [one for one in at.desk.open().entries() if one.step == "cutover"]


@pytest.mark.parametrize("word", [Word.FAIL, Word.INCONCLUSIVE])
def test_the_score_must_be_a_pass(at: Made, word: Word) -> None:
    measure(at.desk, word=word)
    assert what(shown(at)) == [f"support score: {word}: because"]


def test_a_result_that_no_longer_holds_is_named_with_its_command(at: Made) -> None:
    measure(at.desk)
    at.desk.edit("models:", "score: {margin: 7}\nmodels:")
    (problem,) = shown(at).problems
    assert (problem.where, problem.next) == ("support score", "rackwright migrate score support")


@pytest.mark.parametrize(
    ("found", "shares"),
    [
        (capacity(10, 10), ()),
        (capacity(20, 10), (100,)),
        (capacity(100, 10), (25, 50, 100)),
        (capacity(1, 10, spare=1), (5, 25, 50, 100)),
        (capacity(1, None), (5, 25, 50, 100)),
    ],
)
def test_too_few_replicas_refuse_the_shares_that_they_can_t_carry(
    at: Made, found: CapacityFound, shares: tuple[int, ...]
) -> None:
    measure(at.desk, found=found)
    refused = [step.share for step in shown(at).steps if [one for one in step.problems if "assistant" in one.what]]
    assert refused == list(shares)


def test_the_whole_share_is_refused_until_a_rollback_reached_every_gateway(at: Made) -> None:
    measure(at.desk)
    at.has(5, 25, 50)
    with pytest.raises(ProofError, match="the way back was not tried in this migration"):
        cutover(at.desk.open(), at.world, execute=True)
    at.world.gateways["gate2"].down = True
    rollback(at.session, "support", at.world)
    at.world.gateways["gate2"].down = False
    assert shown(at, 50).steps[-1].problems
    rollback(at.session, "support", at.world)
    assert not shown(at, 50).steps[-1].problems


def test_after_a_rollback_it_begins_again_with_what_has_passed(at: Made) -> None:
    measure(at.desk)
    at.has(5, 25)
    rollback(at.session, "support", at.world)
    assert [step.share for step in shown(at).steps] == [5, 25, 50, 100]
    assert [step.share for step in shown(at, 50).steps] == [50, 100]
    assert what(shown(at, 100)) == ["support cutover.share: the cutover can't begin with 100 %"]
    assert what(shown(at, 30)) == ["support cutover.share: 30 % isn't one of the plan's shares"]


def test_a_share_that_left_the_plan_is_refused(at: Made) -> None:
    measure(at.desk)
    at.has(5)
    at.desk.edit("share: [5, 25, 50, 100]", "share: [10, 100]")
    (problem,) = shown(at).problems
    assert problem.what == "the fleet has 5 % now, which isn't one of the plan's shares"
    assert problem.next == "write 5 into the plan again, or rackwright migrate rollback support"


def test_a_pause_is_over_when_someone_resumes(at: Made) -> None:
    measure(at.desk)
    at.has(5)
    pause(at.session, "support", "an incident")
    assert what(shown(at)) == ["support: anna@laptop paused it: an incident"]
    assert what(shown(at, resume=True)) == []


def test_a_gateway_that_was_rolled_back_by_hand_is_named(at: Made) -> None:
    measure(at.desk)
    at.has(5)
    gate2, back = at.world.gateways["gate2"], {"back": True, "share": 0, "who": "the panic file"}
    assert gate2.record
    gate2.change, gate2.record = "", gate2.record.model_copy(update=back)
    (problem,) = shown(at).problems
    assert str(problem).startswith("gate2: the panic file has rolled back there: all its requests go to the cloud")


def test_what_is_printed_says_where_it_is_and_what_comes_next(at: Made) -> None:
    measure(at.desk)
    lines = list(preview_lines(shown(at), "support", executed=False))
    assert lines[0] == "the cloud answers all requests"
    assert lines[-1] == "next: rackwright migrate cutover support --execute"
    (*_, last) = preview_lines(shown(at, 5), "support", executed=False)
    assert last == "next: rackwright migrate cutover support --execute --from 5"
    at.has(5)
    found = shown(at)
    lines = list(preview_lines(found, "support", executed=False))
    assert lines[0] == "the fleet gets 5 % of new conversations, and its gate has passed"
    assert lines[2].split()[:2] == ["gate1", "5"]
    assert "to come: 25 %, 50 %, 100 %" in lines
    document = preview_document(found)
    assert document["state"]["passed"] == [5]  # type: ignore[index,call-overload]
    assert document["gateways"]["gate1"]["share"] == 5  # type: ignore[index,call-overload]

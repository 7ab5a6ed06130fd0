"""A share of new conversations goes to the fleet, the rest to a cloud: real HAProxy, a stand-in for the cloud."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from rackwright.errors import HostError
from rackwright.gateway.cutover_states import GatewayCutover
from rackwright.roles.cutover.configuration import rollback_script
from tests.gateway.leaving_cloud import Leaving, Turns, going_on, leaving_cloud, opening, reach
from tests.gateway.log_sink import LogSink
from tests.gateway.stack import KEYS, digest, eventually, second_gateway
from tests.gateway.test_peers import connected, taught


@pytest.fixture(scope="module")
def own() -> Iterator[Leaving]:
    with leaving_cloud() as leaving:
        yield leaving


@pytest.fixture
def leaving(own: Leaving) -> Iterator[Leaving]:
    own.stack.reset()
    own.cloud.reset()
    yield own
    Path(own.stack.gateway.paths.configuration, "panic").unlink(missing_ok=True)
    own.roll_back()
    own.stack.gateway.ask("clear table gateways/conversations")


def openings(count: int, first: int = 0) -> list[Turns]:
    return [opening(number) for number in range(first, first + count)]


def test_a_share_of_new_conversations_goes_to_the_fleet_and_the_rest_to_the_cloud(leaving: Leaving) -> None:
    leaving.give(30, "s1")
    seen = [leaving.ask(turns) for turns in openings(100)]
    fleet = [one for one in seen if one.side == "fleet"]
    # 30 of 100, with a margin of more than four standard deviations.
    assert 10 <= len(fleet) <= 50
    assert {(one.replica, one.canary) for one in fleet} == {("gpu1/assistant@1", None)}
    assert {(one.replica, one.digest) for one in seen if one.side == "cloud"} == {(None, None)}
    assert all(one.conversation is not None and (one.conversation < 300_000) is (one.side == "fleet") for one in seen)
    dealt = leaving.look().dealt["s1"]
    assert (dealt.fleet, dealt.cloud) == (len(fleet), 100 - len(fleet))


def test_a_conversation_stays_on_its_side_while_the_share_changes(leaving: Leaving) -> None:
    leaving.give(50, "t1")
    began = leaving.sides(openings(20))
    assert set(began) == {"fleet", "cloud"}
    for percent, change, after in ((100, "t2", "t1"), (1, "t3", "t2")):
        leaving.give(percent, change, after)
        further = [[*going_on(number), ("assistant", change), ("user", "more")] for number in range(20)]
        assert leaving.sides([going_on(number) for number in range(20)]) == began
        assert leaving.sides(further) == began
    leaving.give(50, "t4", "t3")


def test_the_same_conversations_are_part_of_every_larger_share(leaving: Leaving) -> None:
    sides = []
    for number, percent in enumerate((25, 50, 100)):
        leaving.give(percent, f"g{number}", f"g{number - 1}" if number else "")
        sides.append(leaving.sides(openings(30)))
    assert sides[2] == ["fleet"] * 30
    assert all(later == "fleet" for earlier, later in zip(sides[0], sides[1], strict=True) if earlier == "fleet")


def test_what_began_before_the_cutover_stays_with_the_cloud_for_the_window(leaving: Leaving) -> None:
    leaving.give(100, "o1", window=3600)
    assert leaving.sides([going_on(number) for number in range(3)]) == ["cloud"] * 3
    leaving.roll_back()
    leaving.give(100, "o2", window=0)
    assert leaving.sides([going_on(number) for number in range(3)]) == ["fleet"] * 3


def test_a_prompt_that_begins_with_examples_is_new_each_time(leaving: Leaving) -> None:
    """They have the same first message, and answers in them. Nobody has asked what comes before the last answer."""
    examples = [("user", "2+2"), ("assistant", "4"), ("user", "3+3"), ("assistant", "6")]
    leaving.give(50, "e1", window=0)
    assert set(leaving.sides([[*examples, ("user", f"{number}+1")] for number in range(30)])) == {"fleet", "cloud"}


def test_a_named_conversation_stays_on_its_side_whatever_it_says(leaving: Leaving) -> None:
    leaving.give(50, "n1")
    began = [leaving.ask([("user", f"hello {number}")], conversation=f"c{number}").side for number in range(20)]
    assert set(began) == {"fleet", "cloud"}
    leaving.give(99, "n2", "n1")
    assert [leaving.ask([("user", "else")], conversation=f"c{number}").side for number in range(20)] == began


def test_when_the_window_of_the_whole_share_is_over_no_conversation_stays_with_the_cloud(leaving: Leaving) -> None:
    leaving.give(50, "w1")
    began = [leaving.ask([("user", "hello")], conversation=f"w{number}").side for number in range(20)]
    assert "cloud" in began
    leaving.give(100, "w2", "w1", window=0)
    assert {leaving.ask([("user", "else")], conversation=f"w{number}").side for number in range(20)} == {"fleet"}


def test_all_embeddings_of_a_key_go_to_one_side(leaving: Leaving) -> None:
    leaving.give(50, "em1")
    asked = [leaving.send({"input": f"text {number}"}, path="/v1/embeddings").side for number in range(8)]
    assert len(set(asked)) == 1


def test_completions_are_new_each_time(leaving: Leaving) -> None:
    leaving.give(50, "cp1")
    asked = [leaving.send({"prompt": f"text {number}"}, path="/v1/completions").side for number in range(30)]
    assert set(asked) == {"fleet", "cloud"}


def test_a_key_that_is_for_one_side_is_no_part_of_it(leaving: Leaving) -> None:
    leaving.give(50, "k1")
    with leaving.stack.gateways() as gateways:
        for side in ("fleet", "cloud"):
            with gateways.temporary_key(digest(KEYS["limited"]), side=side):  # type: ignore[arg-type]
                asked = [leaving.send({"messages": []}, key="limited") for _ in range(4)]
            assert {(one.side, one.conversation) for one in asked} == {(side, None)}


def test_a_name_that_isn_t_in_the_plan_stays_with_the_cloud(leaving: Leaving) -> None:
    leaving.give(100, "p1")
    other = leaving.send({"model": "org/assistant:8b", "messages": [{"role": "user", "content": "q"}]})
    assert other.side == "cloud"


def test_the_share_outlives_a_reload_and_a_restart(leaving: Leaving) -> None:
    leaving.give(50, "r1")
    began = leaving.sides(openings(20))
    eventually(lambda: taught(leaving.stack))
    leaving.stack.gateway.reload()
    reach(leaving.stack)
    eventually(lambda: leaving.stack.gateway.ask("show table gateways/conversations").count("key=") >= 20)
    assert leaving.sides([going_on(number) for number in range(20)]) == began
    leaving.stack.gateway.stop()
    leaving.stack.gateway.start()
    reach(leaving.stack)
    leaving.stack.reset()
    assert leaving.sides(openings(20)) == began
    found = leaving.look()
    assert (found.percent, found.shares, found.change) == (50, found.held, "r1")


def test_a_rollback_sends_every_request_to_the_cloud_and_running_answers_finish(leaving: Leaving) -> None:
    leaving.give(100, "b1")
    assert leaving.sides(openings(5)) == ["fleet"] * 5
    engine = leaving.stack.engines["assistant"]
    engine.hold = True
    running: list[str | None] = []
    held = threading.Thread(target=lambda: running.append(leaving.ask(opening(9)).side))
    held.start()
    eventually(lambda: engine.began)
    leaving.roll_back("ada")
    assert leaving.sides([*openings(3, 20), *(going_on(number) for number in range(5))]) == ["cloud"] * 8
    engine.hold = False
    engine.let_go(100)
    held.join(60)
    assert running == ["fleet"]
    found = leaving.look()
    assert found.rolled_back
    assert found.record
    assert (found.record.who, found.record.share) == ("ada", 0)
    leaving.roll_back("carla")
    assert leaving.look().record == found.record


def test_a_rollback_that_changed_only_the_file_is_completed_by_the_next(leaving: Leaving) -> None:
    leaving.give(100, "q1")
    Path(leaving.stack.gateway.paths.configuration, "cutovers.map").write_text("")
    assert leaving.sides(openings(1, 70)) == ["fleet"]
    leaving.roll_back()
    assert leaving.look().held == {}
    assert leaving.sides(openings(2, 71)) == ["cloud"] * 2


def test_a_change_that_comes_late_doesn_t_undo_a_rollback(leaving: Leaving) -> None:
    leaving.give(5, "l1")
    leaving.roll_back()
    with pytest.raises(HostError, match="its share was changed meanwhile: it has '', not 'l1'"):
        leaving.give(25, "l2", "l1")
    assert leaving.look().percent == 0
    # One that an operator makes after it follows no change.
    leaving.give(5, "l3")
    assert (leaving.look().percent, leaving.look().rolled_back) == (5, False)


def test_a_change_can_be_repeated(leaving: Leaving) -> None:
    leaving.give(5, "a1")
    first = leaving.look()
    leaving.give(5, "a1")
    assert leaving.look().shares == first.shares
    leaving.give(25, "a2", "a1")
    leaving.give(25, "a2", "a1")
    assert leaving.look().percent == 25


def test_a_name_that_left_the_plan_gets_no_share_any_more(leaving: Leaving) -> None:
    leaving.give(100, "d1")
    held = leaving.stack.gateway.paths.configuration + "/cutovers.map"
    leaving.stack.gateway.ask(f"add map {held} old 100|support|0|0|d1|assistant")
    Path(held).write_text(Path(held).read_text() + "old 100|support|0|0|d1|assistant\n")
    leaving.give(100, "d2", "d1")
    assert leaving.look().shares.keys() == leaving.look().held.keys() == {"assistant"}


def test_a_model_has_a_cutover_or_a_canary(leaving: Leaving) -> None:
    leaving.give(5, "c1")
    with leaving.stack.gateways() as gateways:
        with pytest.raises(HostError, match="the model is under the cutover support"):
            gateways.set_canary("gpu1/assistant@1", 5, digest="e" * 64, rollout="r")
        leaving.roll_back()
        gateways.set_canary("gpu1/assistant@1", 5, digest="e" * 64, rollout="r")
        with pytest.raises(HostError, match="the model assistant has a canary now"):
            leaving.give(5, "c2")
        gateways.end_canary("assistant")
    leaving.give(5, "c3")


def script(leaving: Leaving) -> str:
    """Write the script of the panic file, and return its path."""
    paths, folder = leaving.stack.gateway.paths, Path(leaving.stack.gateway.paths.configuration)
    text = rollback_script(paths, records=f"{folder}/records", panic=f"{folder}/panic")
    place = folder / "rollback"
    place.write_text(text)
    return str(place)


def test_the_script_on_the_gateway_sends_everything_back_without_this_tool(leaving: Leaving) -> None:
    leaving.give(100, "f1")
    assert leaving.sides(openings(2)) == ["fleet"] * 2
    done = subprocess.run(["sh", script(leaving)], check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout == "support: all requests go to the cloud\n"
    assert leaving.sides([*openings(2), going_on(1)]) == ["cloud"] * 3
    record = leaving.look().record
    assert record
    assert record.who == "root, at this gateway"


def test_while_the_panic_file_exists_nobody_gets_a_share(leaving: Leaving) -> None:
    leaving.give(25, "x1")
    panic = Path(leaving.stack.gateway.paths.configuration, "panic")
    panic.touch()
    subprocess.run(["sh", script(leaving)], check=True, timeout=60, capture_output=True)
    found = leaving.look()
    assert found.panic
    assert found.rolled_back
    assert found.record
    assert found.record.who == "the panic file"
    with pytest.raises(HostError, match=r"the panic file .*/panic exists; remove it first"):
        leaving.give(25, "x2")
    panic.unlink()
    leaving.give(25, "x3")


def test_the_script_ends_every_cutover_while_haproxy_doesn_t_run(leaving: Leaving) -> None:
    leaving.give(100, "h1")
    leaving.stack.gateway.stop()
    for sock in Path(leaving.stack.gateway.paths.sockets).glob("*.sock"):
        sock.unlink()
    subprocess.run(["sh", script(leaving)], check=True, timeout=60, capture_output=True)
    leaving.stack.gateway.start()
    reach(leaving.stack)
    leaving.stack.reset()
    assert leaving.sides(openings(3)) == ["cloud"] * 3


@contextmanager
def two(first: Leaving) -> Iterator[tuple[Leaving, Leaving]]:
    with ExitStack() as stack:
        second = stack.enter_context(second_gateway(first.stack))
        second = replace(second, log=LogSink(first.stack.folder / "second" / "log"))
        stack.callback(second.log.close)
        for one in (first.stack, second):
            reach(one)
        eventually(lambda: connected(first.stack) and connected(second))
        eventually(lambda: taught(first.stack) and taught(second))
        yield first, replace(first, stack=second)


def test_a_conversation_stays_on_its_side_at_the_other_gateway(leaving: Leaving) -> None:
    with two(leaving) as (first, other):
        for one in (first, other):
            one.give(50, "y1")
        began = first.sides(openings(16))
        assert set(began) == {"fleet", "cloud"}
        known = "show table gateways/conversations"
        eventually(lambda: other.stack.gateway.ask(known).count("key=") >= 16)
        # One gateway may get the larger share before the other.
        other.give(100, "y2", "y1")
        assert other.sides([going_on(number) for number in range(16)]) == began
        # Each gateway has counted its own; the other has a copy.
        assert first.look().dealt["y1"].total == 16
        assert "y1" not in other.look().dealt
        other.roll_back()


def test_what_a_gateway_says_of_a_cutover_is_checked(own: Leaving) -> None:
    own.give(12.5, "z1")
    path = Path(own.stack.gateway.paths.configuration, "cutovers.map")
    (line,) = path.read_text().splitlines()
    name, value = line.split()
    parts, migration, opens, ends, change, model = value.split("|")
    assert (name, parts, migration, ends, change, model) == ("assistant", "125000", "support", "0", "z1", "assistant")
    assert int(opens) > 0
    path.write_text("assistant 99999999\n")
    with own.cutover() as cutover:
        (found,) = cutover.look().values()
    assert isinstance(found, GatewayCutover)
    assert not found.shares
    assert found.held
    path.write_text("assistant 99999999|support\n")
    with own.cutover() as cutover:
        (said,) = cutover.look().values()
    assert isinstance(said, HostError)
    own.roll_back()


def test_the_body_of_a_request_can_be_anything(leaving: Leaving) -> None:
    leaving.give(100, "j1")
    bodies = (
        '{"model":"assistant","messages":"text"}',
        '{"model":"assistant","messages":[]}',
        '{"model":"assistant","messages":[{"role":"user","content":"\\"]}"}]}',
        '{"model":"assistant","messages":[{"role":"assistant"},{"role":"user","content":["a",{"b":"c"}]}]}',
        json.dumps({"model": "assistant", "messages": [{"role": "user", "content": "x" * 500_000}]}),
    )
    for body in bodies:
        response = leaving.stack.send(body=body.encode())
        response.read()
        assert leaving.stack.log.line(response.getheader("x-request-id") or "-").side is not None

"""A cloud answers what none of our replicas takes: real HAProxy, a stand-in for the cloud."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from http.client import IncompleteRead
from pathlib import Path

import pytest

from rackwright.errors import HostError
from rackwright.gateway.cutover_runtime import Cutovers, Wanted
from rackwright.gateway.cutover_states import CutoverRecord
from rackwright.gateway.fallback_counts import Fallback, fallbacks_of
from rackwright.roles.gateway.configuration import MOST_SMALL_BYTES
from rackwright.roles.gateway.settings import Server
from rackwright.values.priority import NUMBERS
from tests.gateway.leaving_cloud import Leaving, going_on, in_one_hour, leaving_cloud, opening, reach
from tests.gateway.stack import KEYS, Stack, eventually, free_port
from tests.gateway.test_fair_queue import HOG, OTHER, THIRD, clients, configure
from tests.gateway.test_peers import taught
from tests.stand_in_cloud import Fault

REPLICA = "gpu1/assistant@1"


@pytest.fixture(scope="module")
def own() -> Iterator[Leaving]:
    with leaving_cloud() as leaving:
        stack = leaving.stack
        models = tuple(model.model_copy(update={"cloud": "acme"}) for model in stack.settings.models)
        stack.write(stack.settings.model_copy(update={"models": models}))
        stack.gateway.reload()
        reach(stack)
        yield leaving


@pytest.fixture
def leaving(own: Leaving) -> Iterator[Leaving]:
    own.stack.reset()
    own.cloud.reset()
    yield own
    own.roll_back()
    own.stack.gateway.ask("clear table gateways/conversations")
    own.stack.gateway.ask("clear table gateways/fallbacks.gate1")
    own.stack.reset()


def fail(leaving: Leaving) -> None:
    """Let the replica be down, and wait until the gateway knows."""
    leaving.stack.agents["assistant"].state = "down"
    eventually(lambda: leaving.stack.down(leaving.stack.servers["assistant"]))


def fallback(leaving: Leaving) -> Fallback:
    with leaving.stack.gateways() as gateways:
        (found,) = fallbacks_of(gateways.fallbacks().values())
    return found


def asked(leaving: Leaving) -> int:
    return len(leaving.cloud.completions())


def test_what_a_replica_that_is_down_doesn_t_take_the_cloud_answers(leaving: Leaving) -> None:
    leaving.give(100, "d1", window=0, fallback=10)
    assert leaving.ask(opening(1)).side == "fleet"
    fail(leaving)
    line = leaving.ask(opening(2))
    assert (line.side, line.status, line.end, line.replica, line.digest) == ("fallback", 200, "completed", None, None)
    assert (line.prompt_tokens, line.completion_tokens, line.accepted) == (11, 2, True)
    assert asked(leaving) == 1
    assert "x-rackwright-key" not in leaving.cloud.completions()[0].headers
    found = fallback(leaving)
    assert (found.migration, found.most, found.sent + found.sent_before, found.refused) == ("support", 10, 1, 0)
    assert found.alarm.startswith("fallback of support: the cloud got requests that no replica took: ")


def test_before_any_check_has_found_it_no_request_is_lost(leaving: Leaving) -> None:
    """The replica dies while it has the request, and the gateway still takes it for up."""
    leaving.give(100, "n1", window=0, fallback=10)
    leaving.stack.engines["assistant"].crash = True
    assert leaving.stack.up(leaving.stack.servers["assistant"])
    assert [(one.side, one.status) for one in (leaving.ask(opening(n)) for n in range(3))] == [("fallback", 200)] * 3
    assert (len(leaving.stack.engines["assistant"].requests), asked(leaving)) == (3, 3)


@pytest.mark.parametrize("chunked", [False, True])
def test_the_largest_usual_request_reaches_the_cloud_whole(leaving: Leaving, chunked: bool) -> None:
    leaving.give(100, "q1", window=0, fallback=10)
    leaving.stack.engines["assistant"].crash = True
    start = b'{"model":"assistant","messages":[{"role":"user","content":"'
    most = MOST_SMALL_BYTES
    body = start + b"x" * (most - len(start) - 4) + b'"}]}'
    connection = leaving.stack.connect()
    headers = {"authorization": f"Bearer {KEYS['good']}", "connection": "close"}
    parts = (body[at : at + 65536] for at in range(0, most, 65536))
    connection.request("POST", "/v1/chat/completions", parts if chunked else body, headers, encode_chunked=chunked)
    response = connection.getresponse()
    response.read()
    assert leaving.stack.log.line(response.getheader("x-request-id") or "-").side == "fallback"
    assert [len(one.body) for one in leaving.cloud.completions()] == [most]
    assert len(leaving.stack.engines["assistant"].requests) == 1
    connection.close()


@pytest.mark.parametrize("up", [True, False])
def test_a_large_request_is_sent_once_so_it_goes_to_the_cloud_only_if_no_replica_is_up(
    leaving: Leaving, up: bool
) -> None:
    leaving.give(100, f"l{up:d}", window=0, fallback=10)
    if not up:
        fail(leaving)
    leaving.stack.engines["assistant"].crash = True
    body = json.dumps({"model": "assistant", "messages": [{"role": "user", "content": "x" * 2 * MOST_SMALL_BYTES}]})
    response = leaving.stack.send(body=body.encode())
    assert response.status == (502 if up else 200)
    response.read()
    assert [len(one.body) for one in leaving.cloud.completions()] == ([] if up else [len(body)])


def test_priorities_hold_where_a_request_may_fall_back(leaving: Leaving) -> None:
    leaving.give(100, "p1", window=0, fallback=10)
    stack, before = leaving.stack, leaving.stack.settings
    configure(stack, slots=1, priorities={HOG: NUMBERS["low"], OTHER: NUMBERS["high"]})
    try:
        with clients(stack) as sending:
            sending.send(HOG, HOG, THIRD, OTHER)
            sending.answer(3)
            assert sending.order == [f"{HOG}-1", f"{OTHER}-1", f"{THIRD}-1", f"{HOG}-2"]
    finally:
        stack.write(before)
        stack.gateway.reload()
    assert asked(leaving) == 0


def test_a_replica_that_answers_is_used_and_the_log_says_so(leaving: Leaving) -> None:
    leaving.give(100, "u1", window=0, fallback=10)
    line = leaving.ask(opening(1))
    assert (line.side, line.replica, line.digest) == ("fleet", REPLICA, "d" * 64)
    assert (line.prompt_tokens, line.completion_tokens, line.end) == (7, 3, "completed")
    assert line.first_byte_ms is not None
    assert asked(leaving) == 0


def test_an_error_of_the_engine_about_a_request_is_the_answer(leaving: Leaving) -> None:
    leaving.give(100, "e1", window=0, fallback=10)
    engine = leaving.stack.engines["assistant"]
    engine.status, engine.answer = 400, b'{"error":{"message":"the context size","code":400}}'
    line = leaving.ask(opening(1))
    assert (line.side, line.status, line.end) == ("fleet", 400, "refused")
    assert asked(leaving) == 0


def test_without_an_allowance_the_answer_is_503_as_ever(leaving: Leaving) -> None:
    leaving.give(100, "w1", window=0)
    fail(leaving)
    line = leaving.ask(opening(1))
    assert (line.side, line.status, line.end) == ("fleet", 503, "server_error")
    assert asked(leaving) == 0


def test_embeddings_never_fall_back(leaving: Leaving) -> None:
    leaving.give(100, "em1", window=0, fallback=10)
    fail(leaving)
    assert leaving.send({"input": "text"}, path="/v1/embeddings").status == 503
    assert asked(leaving) == 0


def refused(leaving: Leaving) -> None:
    """Check that the cloud isn't asked, and that the client is told as ever."""
    response = leaving.stack.send(body=json.dumps({"model": "assistant", "messages": []}).encode())
    assert (response.status, response.getheader("retry-after")) == (503, "5")
    assert json.loads(response.read())["error"]["code"] == "unavailable"
    line = leaving.stack.log.line(response.getheader("x-request-id") or "-")
    assert (line.side, line.end, line.first_byte_ms) == ("fleet", "server_error", None)
    assert asked(leaving) == 0


@pytest.mark.parametrize("down", [False, True])
def test_never_because_someone_drained(leaving: Leaving, down: bool) -> None:
    leaving.give(100, "r1", window=0, fallback=10)
    with leaving.stack.gateways() as gateways:
        gateways.drain(REPLICA, who="ada", reason="fan")
        if down:
            leaving.stack.agents["assistant"].state = "down"
        refused(leaving)
        gateways.undrain(REPLICA)


def test_never_because_someone_took_the_server_out_at_the_socket(leaving: Leaving) -> None:
    leaving.give(100, "m1", window=0, fallback=10)
    server = f"model.assistant/{leaving.stack.servers['assistant']}"
    leaving.stack.gateway.ask(f"set server {server} state maint")
    refused(leaving)
    leaving.stack.gateway.ask(f"set server {server} state ready")


def test_never_in_planned_downtime(leaving: Leaving) -> None:
    leaving.give(100, "p1", window=0, fallback=10)
    with leaving.stack.gateways() as gateways:
        gateways.open_downtime("assistant", 600)
        # A replica that fails while it should still answer.
        leaving.stack.engines["assistant"].crash = True
        refused(leaving)
        fail(leaving)
        response = leaving.stack.send(body=b'{"model":"assistant","messages":[]}')
        assert json.loads(response.read())["error"]["code"] == "model_updating"
        gateways.close_downtime("assistant")
    assert asked(leaving) == 0
    assert leaving.ask(opening(1)).side == "fallback"


@contextmanager
def another_replica(leaving: Leaving) -> Iterator[str]:
    """Within the block, the model has a second replica, whose host is gone."""
    stack, before = leaving.stack, leaving.stack.settings
    first = before.models[0].servers[0]
    lost = Server(replica="assistant@2", host="gpu2", address=first.address, port=free_port(), slots=4)
    models = (before.models[0].model_copy(update={"servers": (first, lost)}), *before.models[1:])
    stack.write(before.model_copy(update={"models": models}))
    stack.gateway.reload()
    reach(stack)
    try:
        eventually(lambda: stack.down(lost.name))
        yield lost.name
    finally:
        stack.write(before)
        stack.gateway.reload()
        reach(stack)


def test_another_replica_comes_before_the_cloud_and_one_that_fails_beside_a_drained_one_is_a_reason(
    leaving: Leaving,
) -> None:
    with another_replica(leaving) as lost:
        leaving.give(100, "x1", window=0, fallback=10)
        # The gateway takes it for up, and finds that nobody listens there.
        leaving.stack.gateway.ask(f"set server model.assistant/{lost} health up")
        assert {leaving.ask(opening(number)).replica for number in range(4)} == {REPLICA}
        assert asked(leaving) == 0
        with leaving.stack.gateways() as gateways:
            gateways.drain(REPLICA, who="ada", reason="fan")
            assert leaving.ask(opening(2)).side == "fallback"
            gateways.drain("gpu2/assistant@2", who="ada", reason="fan")
            leaving.cloud.reset()
            refused(leaving)
            gateways.undrain("gpu2/assistant@2")
            gateways.undrain(REPLICA)


def test_an_answer_that_has_begun_is_never_continued_by_the_cloud(leaving: Leaving) -> None:
    leaving.give(100, "b1", window=0, fallback=10)
    leaving.stack.engines["assistant"].break_off = True
    response = leaving.stack.send(stream=True)
    with pytest.raises(IncompleteRead) as raised:
        response.read()
    assert raised.value.partial == b"data: 0\n\n"
    line = leaving.stack.log.line(response.getheader("x-request-id") or "-")
    assert (line.side, line.end, asked(leaving)) == ("fleet", "server_error", 0)


def test_streams_fall_back_too_and_arrive_part_by_part(leaving: Leaving) -> None:
    leaving.give(100, "s1", window=0, fallback=10)
    leaving.stack.engines["assistant"].crash = leaving.cloud.hold = True
    response = leaving.stack.send(stream=True)
    assert response.readline() == b"data: 0\n"
    leaving.cloud.steps.release(100)
    assert b"data: 2" in response.read()
    assert leaving.stack.log.line(response.getheader("x-request-id") or "-").side == "fallback"


def test_the_next_request_of_the_conversation_tries_the_fleet_again(leaving: Leaving) -> None:
    leaving.give(100, "c1", fallback=10)
    leaving.stack.engines["assistant"].crash = True
    assert leaving.ask(opening(1)).side == "fallback"
    leaving.stack.engines["assistant"].crash = False
    after = leaving.ask(going_on(1))
    assert (after.side, after.conversation) == ("fleet", leaving.ask(opening(1)).conversation)


def test_an_error_of_the_cloud_is_the_answer(leaving: Leaving) -> None:
    leaving.give(100, "f1", window=0, fallback=10)
    fail(leaving)
    leaving.cloud.fixed = None
    leaving.cloud.faults.append(Fault("status", status=429))
    try:
        line = leaving.ask(opening(1))
    finally:
        leaving.cloud.fix()
    assert (line.side, line.status) == ("fallback", 429)
    assert asked(leaving) == 1


def test_past_the_limit_the_answer_is_503_until_the_hour_is_over(leaving: Leaving) -> None:
    leaving.give(100, "l1", window=0, fallback=3)
    fail(leaving)

    def work() -> None:
        leaving.cloud.reset()
        assert [leaving.ask(opening(number)).status for number in range(4)] == [200] * 3 + [503]
        last = leaving.stack.send(body=b'{"model":"assistant","messages":[]}')
        assert json.loads(last.read())["error"]["code"] == "fallback_limit_reached"
        assert 1 <= int(last.getheader("retry-after") or 0) <= 3600
        line = leaving.stack.log.line(last.getheader("x-request-id") or "-")
        assert (line.side, line.status, line.end) == ("fleet", 503, "server_error")
        assert (fallback(leaving).sent, fallback(leaving).refused, asked(leaving)) == (3, 2, 3)

    in_one_hour(work, leaving.stack)


def test_requests_at_the_same_moment_don_t_pass_the_limit(leaving: Leaving) -> None:
    leaving.give(100, "t1", window=0, fallback=5)
    fail(leaving)

    def work() -> None:
        leaving.cloud.reset()
        with ThreadPoolExecutor(16) as pool:
            statuses = [*pool.map(lambda number: leaving.ask(opening(number)).status, range(32))]
        assert statuses.count(200) == asked(leaving) <= 5
        assert statuses.count(503) == 32 - statuses.count(200)

    in_one_hour(work, leaving.stack)


def test_it_outlives_a_reload_and_a_restart_and_so_does_the_count_of_a_reload(leaving: Leaving) -> None:
    leaving.give(100, "o1", window=0, fallback=4)
    fail(leaving)
    eventually(lambda: taught(leaving.stack))

    def work() -> None:
        assert [leaving.ask(opening(number)).side for number in range(3)] == ["fallback"] * 3
        leaving.stack.gateway.reload()
        reach(leaving.stack)
        eventually(lambda: "gpc0=3" in leaving.stack.gateway.ask("show table gateways/fallbacks.gate1"))
        assert [leaving.ask(opening(number)).status for number in range(2)] == [200, 503]

    in_one_hour(work, leaving.stack)
    leaving.stack.gateway.stop()
    leaving.stack.gateway.start()
    reach(leaving.stack)
    eventually(lambda: leaving.stack.down(leaving.stack.servers["assistant"]))
    assert leaving.ask(opening(9)).side == "fallback"
    assert leaving.look().fallback == 4


def test_a_rollback_ends_it(leaving: Leaving) -> None:
    leaving.give(100, "k1", window=0, fallback=4)
    assert leaving.look().shares == leaving.look().held
    fail(leaving)
    assert leaving.ask(opening(1)).side == "fallback"
    leaving.roll_back()
    assert leaving.ask(opening(2)).side == "cloud"
    assert leaving.look().fallback == 0
    assert fallback(leaving).most == 0
    assert "it is off now" in fallback(leaving).alarm


def test_it_can_be_ended_while_the_share_stays(leaving: Leaving) -> None:
    leaving.give(100, "v1", window=0, fallback=4)
    leaving.give(100, "v1", "v1", window=0)
    assert (leaving.look().fallback, leaving.look().percent) == (0, 100)
    assert leaving.look().shares == leaving.look().held
    fail(leaving)
    assert leaving.ask(opening(1)).status == 503


def test_a_gateway_that_runs_without_it_refuses_to_promise_it(stack: Stack) -> None:
    with stack.gateways() as gateways:
        folder = Path(stack.gateway.paths.configuration)
        cutover = Cutovers(gateways, "support", records=f"{folder}/records", panic=f"{folder}/panic")
        wanted = Wanted(5, {"assistant": "assistant"}, "z1", 60, {"assistant": 3})
        record = CutoverRecord(migration="support", share=5, who="carla")
        (refused,) = cutover.give(wanted, record, {"gate1": ""}).values()
        assert isinstance(refused, HostError)
        assert "it runs without a fallback" in str(refused)
        assert not isinstance(cutover.give(replace(wanted, fallback={}), record, {"gate1": ""})["gate1"], HostError)
        cutover.roll_back(record)


def test_vllm_gets_its_salt_and_its_name_on_this_way_too(leaving: Leaving) -> None:
    names = Wanted(100, {"org/coder:8b": "coder"}, "a1", 0, {"org/coder:8b": 3})
    record = CutoverRecord(migration="other", share=100, who="carla")
    with leaving.cutover("other") as cutover:
        assert not isinstance(cutover.give(names, record, {"gate1": ""})["gate1"], HostError)
        line = leaving.send({"model": "org/coder:8b", "messages": []})
        assert (line.side, line.replica) == ("fleet", "gpu1/coder@1")
        (received,) = leaving.stack.engines["coder"].requests
        body = json.loads(received.body)
        assert (body["model"], len(body["cache_salt"])) == ("coder", 64)
        assert received.headers.keys().isdisjoint({"authorization", "x-inner-side"})
        cutover.roll_back(record)

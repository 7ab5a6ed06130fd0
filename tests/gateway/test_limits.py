"""The limits of a key, set at a running gateway: requests per minute, concurrent requests, expiry."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.client import HTTPResponse
from itertools import count

import pytest

from rackwright.gateway import Gateways
from rackwright.roles.gateway.settings import Key
from tests.gateway.stack import KEYS, Stack, digest, eventually, gone

LIMITED = digest(KEYS["limited"])
NUMBER = count()


@pytest.fixture
def gateways(stack: Stack) -> Iterator[Gateways]:
    with stack.gateways() as gateways:
        yield gateways
        stack.gateway.forget_keys()


def limited(**limits: object) -> Key:
    """Return a key whose id has no counts yet."""
    return Key.model_validate({"id": f"limited{next(NUMBER)}", "sha256": LIMITED, **limits})


def in_one_minute(work: Callable[[], None]) -> None:
    """Retry if the clock's minute ended meanwhile, because counting starts again with each minute."""
    while True:
        minute = time.time() // 60
        try:
            work()
            return
        except AssertionError:
            if time.time() // 60 == minute:
                raise


def refusal(response: HTTPResponse) -> tuple[int, str]:
    error = json.loads(response.read())["error"]
    assert error["type"] == "rate_limit_error"
    return response.status, error["code"]


def test_a_key_makes_so_many_requests_in_a_minute_and_is_told_when_the_next_begins(
    stack: Stack, gateways: Gateways
) -> None:
    def work() -> None:
        gateways.put_key(limited(requests_per_minute=3), note="{}")
        assert [stack.send(key="limited").status for _ in range(3)] == [200, 200, 200]
        refused = stack.send(key="limited")
        wait = int(refused.getheader("retry-after") or 0)
        assert refusal(refused) == (429, "rate_limit_exceeded")
        assert 0 <= 60 - time.time() % 60 - wait + 1 <= 2
        assert stack.send(key="good").status == 200

    in_one_minute(work)


def test_what_is_refused_is_not_counted(stack: Stack, gateways: Gateways) -> None:
    def work() -> None:
        gateways.put_key(limited(requests_per_minute=2, models=("assistant",)), note="{}")
        assert stack.send(key="limited", path="/v1/models", method="GET").status == 200
        assert stack.send(key="limited", path="/nowhere").status == 404
        assert stack.send("nothing", key="limited").status == 404
        assert stack.send("coder", key="limited").status == 403
        assert [stack.send(key="limited").status for _ in range(4)] == [200, 200, 429, 429]

    in_one_minute(work)


def test_a_refused_request_is_logged_with_its_key(stack: Stack, gateways: Gateways) -> None:
    key = limited(requests_per_minute=1)
    gateways.put_key(key, note="{}")
    # Two are answered if a minute ends between them.
    response = next(sent for sent in (stack.send(key="limited") for _ in range(3)) if sent.status != 200)
    seen = stack.log.line(response.getheader("x-request-id") or "-")
    assert (seen.status, seen.end, seen.key, seen.replica) == (429, "refused", key.id, None)


def test_a_reload_goes_on_counting(stack: Stack, gateways: Gateways) -> None:
    def work() -> None:
        key = limited(requests_per_minute=2)
        gateways.put_key(key, note="{}")
        assert [stack.send(key="limited").status for _ in range(2)] == [200, 200]
        worker = stack.gateway.workers[0]
        stack.gateway.reload()
        assert stack.gateway.workers[0] != worker
        eventually(lambda: f"key={key.id}/" in stack.gateway.ask("show table gateways/requests.gate1"))
        assert stack.send(key="limited").status == 429

    # A worker passes its counts on once it has those of the one before, or has waited five seconds for them.
    eventually(lambda: "id=gateways disabled=0 flags=0x0 " not in stack.gateway.ask("show peers"))
    in_one_minute(work)


def test_streams_count_while_they_run(stack: Stack, gateways: Gateways) -> None:
    gateways.put_key(limited(concurrency=2), note="{}")
    engine = stack.engines["assistant"]
    engine.hold = True
    running = [stack.send(key="limited", stream=True) for _ in range(2)]
    assert [response.readline() for response in running] == [b"data: 0\n"] * 2
    refused = stack.send("coder", key="limited")
    assert refused.getheader("retry-after") == "2"
    assert refusal(refused) == (429, "concurrency_limit_exceeded")
    assert stack.send("coder").status == 200
    engine.hold = False
    engine.let_go(100)
    assert all(response.read().endswith(b"[DONE]\n\n") for response in running)
    eventually(lambda: stack.send(key="limited").status == 200)


def test_a_client_that_leaves_makes_room(stack: Stack, gateways: Gateways) -> None:
    gateways.put_key(limited(concurrency=1), note="{}")
    engine = stack.engines["assistant"]
    engine.hold = True
    response = stack.send(key="limited", stream=True)
    response.readline()
    assert stack.send("coder", key="limited").status == 429
    response._connection.close()  # type: ignore[attr-defined]
    response.close()
    eventually(lambda: stack.send("coder", key="limited").status == 200)


def test_another_limit_and_other_models_act_at_once_and_without_a_reload(stack: Stack, gateways: Gateways) -> None:
    workers = stack.gateway.workers
    key = limited(models=("assistant",))
    gateways.put_key(key, note="{}")
    assert [stack.send(model, key="limited").status for model in ("assistant", "coder")] == [200, 403]
    gateways.put_key(key.model_copy(update={"models": ("coder",)}), note="{}")
    assert [stack.send(model, key="limited").status for model in ("assistant", "coder")] == [403, 200]
    gateways.put_key(key.model_copy(update={"models": (), "concurrency": 1}), note="{}")
    # HAProxy may still be ending the request before.
    eventually(lambda: stack.send("assistant", key="limited").status == 200)
    eventually(lambda: stack.send("coder", key="limited").status == 200)
    shown = stack.gateway.ask(f"show map {stack.gateway.paths.configuration}/keys.map")
    assert [line.split()[2] for line in shown.splitlines() if LIMITED in line] == [f"{key.id}|0|all|0|1"]
    assert stack.gateway.workers == workers


def test_a_key_that_is_edited_is_let_in_all_the_while(stack: Stack, gateways: Gateways) -> None:
    key = limited(models=("coder",))
    gateways.put_key(key, note="{}")
    with ThreadPoolExecutor() as pool:
        editing = pool.submit(lambda: [gateways.put_key(key, note="{}") for _ in range(5)])
        seen = {stack.send("coder", key="limited").status}
        while not editing.done():
            seen.add(stack.send("coder", key="limited").status)
    editing.result()
    assert seen == {200}


def test_a_key_ends_at_its_moment_and_its_stream_goes_on(stack: Stack, gateways: Gateways) -> None:
    key = limited(expires=datetime.now(UTC) + timedelta(hours=1))
    gateways.put_key(key, note="{}")
    engine = stack.engines["assistant"]
    engine.hold = True
    response = stack.send(key="limited", stream=True)
    assert response.readline() == b"data: 0\n"
    gateways.put_key(key.model_copy(update={"expires": datetime.now(UTC) + timedelta(seconds=2)}), note="{}")
    eventually(lambda: stack.send("coder", key="limited").status == 401)
    engine.hold = False
    engine.let_go(100)
    assert response.read().endswith(b"[DONE]\n\n")


def test_a_revoked_keys_stream_goes_on_and_its_next_request_is_refused(stack: Stack, gateways: Gateways) -> None:
    key = limited()
    gateways.put_key(key, note="{}")
    engine = stack.engines["assistant"]
    engine.hold = True
    response = stack.send(key="limited", stream=True)
    assert response.readline() == b"data: 0\n"
    gateways.remove_key(gone(key), note="{}")
    engine.hold = False
    engine.let_go(100)
    assert response.read().endswith(b"[DONE]\n\n")
    connection = response._connection  # type: ignore[attr-defined]
    connection.request("GET", "/v1/models", headers={"authorization": f"Bearer {KEYS['limited']}"})
    assert connection.getresponse().status == 401

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from rackwright.fleet.needs import Need
from rackwright.fleet.source import HubSource
from rackwright.resolve import answering
from rackwright.resolve.answering import Asking, State, judged
from rackwright.values.file import File
from rackwright.values.secrets import Secret
from tests.stand_in_hub import COMMIT, StandInHub

SHARDS = {f"model-{number}-of-4.safetensors": f"shard {number}".encode() for number in range(1, 5)}


@pytest.fixture
def hub() -> Iterator[StandInHub]:
    with StandInHub({"acme/tiny": {**SHARDS, "config.json": b"{}"}}) as one:
        yield one


def files(hub: StandInHub, contents: dict[str, bytes], at: str = "") -> tuple[File, ...]:
    at = at or f"{hub.url}/acme/tiny/resolve/{COMMIT}"
    return tuple(
        File(path=name, size=len(body), sha256=hashlib.sha256(body).hexdigest(), url=f"{at}/{name}")
        for name, body in contents.items()
    )


def need(*wanted: File, hub: HubSource | None = None) -> Need:
    return Need("models.tiny", ("gpu1",), wanted, "", saved=False, hub=hub)


REVISION = HubSource("acme/tiny", COMMIT)


def asked(
    hub: StandInHub, *needs: Need, token: str | None = None, seconds: float = 30
) -> dict[str, tuple[State, str]]:
    asking = Asking(hub.web, hub.url, Secret(token) if token else None, seconds)
    return {url.rpartition("/")[2]: (one.state, one.why) for url, one in asking.ask(needs).items()}


def states(hub: StandInHub, *needs: Need, token: str | None = None) -> dict[str, State]:
    return {name: state for name, (state, _) in asked(hub, *needs, token=token).items()}


def test_a_file_answers_or_its_server_says_that_it_is_gone(hub: StandInHub) -> None:
    hub.plain = {"a.whl": b"a", "moved.whl": b"m"}
    plain = files(hub, {"a.whl": b"a", "b.whl": b"b"}, f"{hub.url}/plain")
    moved = files(hub, {"moved.whl": b"m"}, f"{hub.url}/moved")
    assert asked(hub, need(*plain, *moved)) == {
        "a.whl": (State.THERE, ""),
        "b.whl": (State.GONE, "answers 404"),
        "moved.whl": (State.THERE, ""),
    }
    assert hub.sent == 0, "nothing is downloaded"


def test_a_server_without_head_is_asked_for_one_byte(hub: StandInHub) -> None:
    hub.head, hub.plain = False, {"a.whl": b"a" * 100_000}
    assert states(hub, need(*files(hub, hub.plain, f"{hub.url}/plain"))) == {"a.whl": State.THERE}
    assert hub.sent == 1


def test_one_list_tells_about_all_files_of_a_commit(hub: StandInHub) -> None:
    wanted = files(hub, SHARDS)
    assert set(states(hub, need(*wanted, hub=REVISION)).values()) == {State.THERE}
    assert sum("/resolve/" in request for request in hub.asked) == 1, "one file shows that the token may download"
    hub.repositories["acme/tiny"] = {**SHARDS, "model-2-of-4.safetensors": b"other"}
    del hub.repositories["acme/tiny"]["model-3-of-4.safetensors"]
    found = asked(hub, need(*wanted, hub=REVISION))
    gone = {name for name, (state, why) in found.items() if state is State.GONE and "no longer in the commit" in why}
    assert gone == {"model-2-of-4.safetensors", "model-3-of-4.safetensors"}


def test_a_repository_or_a_commit_that_is_gone_is_told_for_all_its_files(hub: StandInHub) -> None:
    wanted = files(hub, SHARDS)
    hub.repositories = {}
    assert set(asked(hub, need(*wanted, hub=REVISION)).values()) == {(State.GONE, "answers 404")}


def test_without_a_list_each_file_is_asked_about(hub: StandInHub) -> None:
    wanted = files(hub, {**SHARDS, "gone.json": b"{}"})
    for status, body in ((200, b"[]"), (200, b"not JSON"), (200, b'{"sha": 7}'), (200, b"\xff"), (404, b"")):
        hub.status, hub.hostile = status, body
        found = states(hub, need(*wanted, hub=REVISION))
        assert found == {**dict.fromkeys(SHARDS, State.THERE), "gone.json": State.GONE}


def test_a_list_is_no_proof_that_files_can_be_had(hub: StandInHub) -> None:
    hub.redirect = f"{hub.url}/plain/none"
    found = asked(hub, need(*files(hub, SHARDS), hub=REVISION))
    assert set(found.values()) == {(State.GONE, "answers 404")}


def test_a_small_file_is_known_by_its_size_and_a_bad_answer_counts_more_than_a_good_one(hub: StandInHub) -> None:
    wanted = files(hub, {**SHARDS, "config.json": b"{}"})
    hub.repositories["acme/tiny"] = {**SHARDS, "config.json": b"{ }"}
    found = states(hub, need(*wanted, hub=REVISION), need(wanted[-1]), need(wanted[0]))
    assert found == {**dict.fromkeys(SHARDS, State.THERE), "config.json": State.GONE}


def test_what_is_no_url_is_named_like_any_other(hub: StandInHub) -> None:
    (broken,) = files(hub, {"a.whl": b""}, "https://[broken")
    assert states(hub, need(broken)) == {"a.whl": State.UNKNOWN}


def test_the_token_goes_to_the_hub_alone(hub: StandInHub) -> None:
    hub.token = "hf_1"
    with StandInHub({}) as other:
        other.plain = {"a.whl": b"a"}
        (wheel,) = files(other, other.plain, f"{other.url}/plain")
        found = states(hub, need(*files(hub, SHARDS), hub=REVISION), need(wheel), token="hf_1")
        assert set(found.values()) == {State.THERE}
        assert set(other.tokens) == {None}
    assert states(hub, need(*files(hub, {"config.json": b"{}"}))) == {"config.json": State.UNKNOWN}


def test_a_server_that_cannot_be_reached_is_not_asked_again_and_again(
    hub: StandInHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "AT_ONCE", 1)
    wheels = files(hub, {f"{number}.whl": b"" for number in range(6)}, "https://127.0.0.1:1/x")
    found = asked(hub, need(*wheels))
    assert {state for state, _ in found.values()} == {State.UNREACHED}
    assert [why for _, why in found.values()] == [
        *["can't be asked (can't be reached)"] * 3,
        *["was not asked: 127.0.0.1:1 can't be reached from here"] * 3,
    ]


def test_a_server_that_never_answers_does_not_hold_up_the_others(hub: StandInHub) -> None:
    hub.plain = {"a.whl": b"a"}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        at = f"http://127.0.0.1:{silent.getsockname()[1]}"
        (stuck,) = files(hub, {"stuck.whl": b""}, at)
        began = time.monotonic()
        found = asked(hub, need(stuck, *files(hub, hub.plain, f"{hub.url}/plain")), seconds=1)
        assert time.monotonic() - began < 5
    assert found == {"stuck.whl": (State.UNKNOWN, "had no answer in time"), "a.whl": (State.THERE, "")}


def test_many_questions_are_asked_at_the_same_time(hub: StandInHub) -> None:
    hub.plain = {f"{number}.whl": b"" for number in range(8)}
    together = threading.Barrier(8)
    describe = hub.plain.get

    class Meeting(dict[str, bytes]):
        def get(self, name: str, default: object = None) -> bytes | None:  # type: ignore[override]
            together.wait(timeout=20)
            return describe(name)

    hub.plain = Meeting(hub.plain)
    assert set(states(hub, need(*files(hub, dict(hub.plain), f"{hub.url}/plain"))).values()) == {State.THERE}


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (200, State.THERE),
        (206, State.THERE),
        (404, State.GONE),
        (410, State.GONE),
        (401, State.UNKNOWN),
        (429, State.UNKNOWN),
        (503, State.UNKNOWN),
        (304, State.UNKNOWN),
    ],
)
def test_only_a_clear_no_counts_as_gone(code: int, state: State) -> None:
    assert judged(code).state is state

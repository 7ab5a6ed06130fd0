"""The golden set, asked at an engine's own socket: real sh and curl, and a stand-in for the engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.errors import HostError, LeasedError, ProofError, RackwrightError
from rackwright.fleet.golden.golden_set import GoldenSet, Prompt
from rackwright.lifecycle.canary import engine_requests as engines_asked
from rackwright.lifecycle.canary.engine_requests import Reply, ask_engine, batch_of
from rackwright.lifecycle.canary.golden_answers import Questions, answer_of, body_of, said_in
from rackwright.lifecycle.rollout.change import Paused, Undecided, nothing
from rackwright.remote.completed import Completed
from rackwright.roles.replica.answer import MOST_BYTES
from tests.fleet.fleets import make_fleet
from tests.lifecycle.simulation import Clock
from tests.shells import LocalShell, without_curl
from tests.stand_in_engine import StandInEngine, stand_in_engine

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


def prompt(name: str = "one", *, check: dict[str, Any] | None = None, **said: Any) -> Prompt:
    asked = {"id": name, "messages": [{"role": "user", "content": 'Name a color; it\'s "$(red)".'}], **said}
    return Prompt.model_validate({**asked, "check": check or {"contains": "Red"}})


def completion(content: str | None = "Red.", tokens: int | None = 4, **message: Any) -> str:
    usage = {"usage": {"completion_tokens": tokens}} if tokens else {}
    return json.dumps({"choices": [{"message": {"content": content, **message}}], **usage})


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[StandInEngine]:
    with stand_in_engine(tmp_path / "it's a.sock") as engine:
        yield engine


class Shell(LocalShell):
    """A host whose commands run on this machine."""

    def run(self, command: str, **options: Any) -> Completed:
        assert command == "sh -s"
        return super().run(command, **options)


@pytest.fixture
def session(tmp_path: Path, engine: StandInEngine, monkeypatch: pytest.MonkeyPatch) -> Any:
    fleet = make_fleet(tmp_path / "site.yml", replicas={"gpu1": ["assistant@1"], "gpu2": ["assistant@1"]})
    monkeypatch.setattr(engines_asked, "unit_of", lambda *_: SimpleNamespace(socket=str(engine.socket)))
    shells = {host: Shell(host) for host in ("gpu1", "gpu2")}
    remote = SimpleNamespace(
        connection=shells.__getitem__, each=lambda names, work: {name: work(name) for name in names}
    )
    return SimpleNamespace(fleet=fleet, remote=remote, shells=shells)


def questions(session: Any, *prompts: Prompt, **said: Any) -> Questions:
    golden = GoldenSet(prompts, "f" * 64)
    stopping, check, tell = (said.get("stopping", lambda: False), said.get("check", nothing), said.get("tell", len))
    return Questions(session, golden, "assistant", said.get("max_duration", 60), Clock(), stopping, check, tell)


def test_both_are_asked_and_the_running_one_twice(session, engine):
    running, canary = reversed(session.fleet.replicas)
    found = questions(session, *(prompt(f"p{number}") for number in range(12))).answers(running, canary)
    assert (found.digest, len(found.pairs), len(found.again)) == ("f" * 64, 12, 12)
    assert [pair.prompt for pair in found.pairs] == [f"p{number}" for number in range(12)]
    assert all(pair.running.passed and pair.candidate.passed and pair.candidate.tpot for pair in found.pairs)
    assert len(engine.requests) == 36
    sent = json.loads(engine.requests[0].body)
    assert sent["messages"] == [{"role": "user", "content": 'Name a color; it\'s "$(red)".'}]
    assert (sent["model"], sent["temperature"], sent["stream"]) == ("assistant", 0, False)


def test_no_question_stands_in_an_argument_vector(session, engine):
    questions(session, prompt()).answers(*session.fleet.replicas)
    assert all("color" not in command for shell in session.shells.values() for command in shell.commands)
    script = batch_of("/run/a.sock", ['{"a": "secret"}']).script
    (line,) = (line for line in script.splitlines() if "secret" in line)
    assert line.partition(" | ")[0].startswith("(eval 'printf ")
    assert "secret" not in line.partition(" | ")[2]


def test_what_the_shell_could_read_reaches_the_engine_as_it_is(session, engine):
    body = json.dumps({"text": "$(id) `id` \\n 'x' \"y\" é"}, ensure_ascii=False)
    assert ask_engine(session, session.fleet.replicas[0], [body, body])[1].status == 200
    assert engine.requests[0].body == body.encode() + b"\n"


def test_an_engine_that_gives_no_answer_did_not_pass(session, engine):
    engine.answer = b"no JSON"
    (pair,) = questions(session, prompt()).answers(*session.fleet.replicas).pairs
    assert (pair.running.passed, pair.running.tpot) == (False, None)


def test_an_answer_without_an_end_did_not_pass(session, engine):
    engine.endless = True
    (reply,) = ask_engine(session, session.fleet.replicas[0], [json.dumps({"stream": False})])
    assert len(reply.body) <= MOST_BYTES
    (pair,) = questions(session, prompt()).answers(*session.fleet.replicas).pairs
    assert (pair.running.passed, pair.running.tpot) == (False, None)


def test_a_canary_that_answers_nothing_is_not_asked_on_and_on(session, engine, monkeypatch):
    running, canary = session.fleet.replicas
    sockets = {running.host: str(engine.socket), canary.host: "/nowhere.sock"}
    monkeypatch.setattr(engines_asked, "unit_of", lambda _, one: SimpleNamespace(socket=sockets[one.host]))
    asked = questions(session, *(prompt(f"p{n}") for n in range(30)))
    with pytest.raises(ProofError, match="it answered none of 4 questions, but gpu1/assistant@1 did"):
        asked.answers(running, canary)


def test_questions_have_their_time_and_it_is_said_how_far_they_are(session, engine):
    said: list[str] = []
    prompts = [prompt(f"p{n}") for n in range(30)]

    def slower(text: str) -> None:
        said.append(text)
        asked.clock.sleep(40)

    asked = questions(session, *prompts, max_duration=60, tell=slower)
    with pytest.raises(Undecided, match="8 of 30 questions were answered in 60 s"):
        asked.answers(*session.fleet.replicas)
    assert said == ["gpu2/assistant@1: 4 of 30 questions", "gpu2/assistant@1: 8 of 30 questions"]


def test_an_engine_that_is_gone_is_no_answer(session, engine, monkeypatch):
    monkeypatch.setattr(engines_asked, "unit_of", lambda *_: SimpleNamespace(socket="/nowhere.sock"))
    assert [reply.status for reply in ask_engine(session, session.fleet.replicas[0], ["{}"])] == [0]


def test_a_host_that_is_gone_is_an_error(session):
    session.shells["gpu1"].gone = True
    with pytest.raises(HostError):
        questions(session, prompt()).answers(*session.fleet.replicas)


def test_a_host_without_curl_is_named(session, monkeypatch):
    monkeypatch.setattr(Shell, "run", lambda self, *_, **__: Completed(127, b"", b"sh: curl: not found", self.name))
    with pytest.raises(RackwrightError, match="gpu1/assistant@1: only 0 of 1 questions were completed"):
        ask_engine(session, session.fleet.replicas[0], ["{}"])


def test_a_host_whose_shell_runs_and_finds_no_curl_is_named(session, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(without_curl(tmp_path)))
    with pytest.raises(RackwrightError, match="gpu1/assistant@1: only 0 of 1 questions were completed"):
        ask_engine(session, session.fleet.replicas[0], ["{}"])


def test_between_two_batches_the_operator_may_stop(session, engine):
    asked = questions(session, *(prompt(f"p{n}") for n in range(30)), stopping=lambda: len(engine.requests) >= 12)
    with pytest.raises(Paused, match="interrupted; the canary has had no traffic"):
        asked.answers(*session.fleet.replicas)
    assert len(engine.requests) == 12


def test_who_lost_the_lease_asks_nothing(session, engine):
    def lost() -> None:
        raise LeasedError("this run's lease has ended")

    with pytest.raises(LeasedError):
        questions(session, prompt(), check=lost).answers(*session.fleet.replicas)
    assert engine.requests == []


def test_an_answer_is_scored_and_its_tokens_timed():
    answer = answer_of(prompt(), Reply(200, completion(), 2.0))
    assert (answer.passed, answer.valid, answer.ttft, answer.tpot) == (True, None, None, 0.5)
    assert answer_of(prompt(), Reply(200, completion(tokens=None), 2.0)).tpot is None
    assert not answer_of(prompt(), Reply(500, completion(), 2.0)).passed
    schema = prompt(check={"json_schema": {"type": "object"}})
    assert answer_of(schema, Reply(0, "", 120.0)).valid is False


def test_tool_calls_are_read():
    called = {"tool_calls": [{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]}
    said, tokens = said_in(completion(None, **called))
    assert ([(call.name, call.arguments) for call in said.calls], said.text, tokens) == ([("weather", "{}")], "", 4)


@pytest.mark.parametrize("body", ["", "{}", '{"choices": []}', '{"choices": [{"message": {"content": 1}}]}', "[]"])
def test_what_is_no_completion_says_nothing(body):
    said, tokens = said_in(body)
    assert (said.text, said.calls, tokens) == ("", (), None)


def test_a_question_is_sent_as_it_is_written():
    messages = [
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "x": None}]},
        {"role": "tool", "content": "12", "tool_call_id": "c1"},
    ]
    sent = json.loads(body_of(prompt(messages=messages, tools=[TOOL]), "assistant"))
    assert (sent["messages"], sent["tools"]) == (messages, [TOOL])
    assert "tools" not in json.loads(body_of(prompt(), "assistant"))
    assert json.loads(body_of(prompt(max_tokens=8), "assistant"))["max_tokens"] == 8

"""A replay with both ends on loopback: nothing twice, nothing over the budget, whatever happens in between."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest

from rackwright.errors import RackwrightError
from rackwright.lifecycle.migrate.replay import ask_part
from rackwright.lifecycle.migrate.replay import replay as replay_module
from rackwright.lifecycle.migrate.replay.lane import Pace
from rackwright.migrate.asking import sample_copy
from rackwright.migrate.asking.outcome import Outcome
from rackwright.migrate.asking.price_of import cost, most
from rackwright.migrate.asking.stopped import Stopped
from rackwright.migrate.file_kind import ANSWERS
from rackwright.migrate.folder import Folder
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.replayed_answer import ReplayedAnswer
from tests.gateway.certificates import CertificateAuthority
from tests.lifecycle.migrate.ends import Ends, FixedKey, plan_of, request
from tests.stand_in_cloud import KEY, Fault, StandInCloud


def asked_ids(end: StandInCloud) -> Counter[str]:
    """Return how often each question reached an end and was answered."""
    bodies = [json.loads(one.body) for one in end.completions() if one.status == 200]
    return Counter(body["messages"][0]["content"].replace("Question ", "r") for body in bodies)


def price_of_all(ends: Ends, requests: dict[str, RecordedRequest]) -> float:
    plan = plan_of()
    answers = [*ends.answers("cloud"), *ends.answers("again")]
    return sum(cost(plan, requests[one.request], one) for one in answers)


def test_each_end_is_asked_and_the_answers_are_in_the_folder(ends: Ends) -> None:
    ends.record(request(number, stream=True, stream_options={"include_usage": True}) for number in range(30))
    outcome = ends.run(plan_of())
    assert outcome.done
    assert outcome.stopped is None
    assert [outcome.asks[one].answered for one in ("cloud", "again", "fleet")] == [30, 30, 30]
    assert asked_ids(ends.cloud) == {f"r{number}": 2 for number in range(30)}
    assert asked_ids(ends.fleet) == {f"r{number}": 1 for number in range(30)}
    bodies = [json.loads(one.body) for one in (*ends.cloud.completions(), *ends.fleet.completions())]
    assert not any("stream" in body or "stream_options" in body for body in bodies)
    assert {body["model"] for body in bodies} == {"gpt-4o-mini", "chat"}
    by_id = {one.request: one for one in ends.answers("cloud")}
    assert {one.request: one.text for one in ends.answers("fleet")} == {one: by_id[one].text for one in by_id}
    assert outcome.spent == pytest.approx(price_of_all(ends, {f"r{n}": request(n) for n in range(30)}))
    assert outcome.reserved == 0


def test_nothing_is_stored_at_the_provider_and_no_other_tier_is_charged(ends: Ends) -> None:
    ends.record([request(1, store=True, metadata={"case": "7"}, service_tier="priority", seed=3)])
    ends.run(plan_of())
    for one in (*ends.cloud.completions(), *ends.fleet.completions()):
        assert set(json.loads(one.body)) == {"model", "messages", "max_tokens", "seed"}


def test_a_client_that_refuses_storage_or_another_tier_is_heard(ends: Ends) -> None:
    """A provider's project may store everything, or have another tier, unless a request says otherwise."""
    ends.record([request(1, store=False, service_tier="default")])
    ends.run(plan_of())
    for one in ends.cloud.completions():
        body = json.loads(one.body)
        assert (body["store"], body["service_tier"]) == (False, "default")


def test_a_second_run_asks_nothing(ends: Ends) -> None:
    ends.record(request(number) for number in range(5))
    spent = ends.run(plan_of()).spent
    before = len(ends.cloud.received), len(ends.fleet.received)
    outcome = ends.run(plan_of())
    assert (len(ends.cloud.received), len(ends.fleet.received)) == before
    assert outcome.spent == spent


def test_a_note_precedes_each_part_with_the_most_that_it_may_cost(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_module, "IN_FILE", 4)
    ends.record(request(number) for number in range(10))
    ends.run(plan_of())
    outcomes = [outcome for _, outcome in ends.notes]
    assert [one.asks["cloud"].all for one in outcomes] == [0, 4, 8, 10]
    assert all(one.reserved > 0 for one in outcomes[:-1])
    assert all(after.spent <= before.spent + before.reserved for before, after in pairwise(outcomes))
    assert [one.lines for _, one in ends.folder.of("answers-cloud")] == [4, 4, 2]


STARTS = frozenset(("os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "subprocess.Popen"))
"""Audit events of CPython when something else is run."""


def test_a_tool_that_an_answer_calls_is_never_run_and_nobody_is_asked_again(ends: Ends, tmp_path: Path) -> None:
    tool = {"type": "function", "function": {"name": "sh", "parameters": {"type": "object"}}}
    call = {
        "id": "1",
        "type": "function",
        "function": {"name": "sh", "arguments": f'{{"run": "touch {tmp_path}/x"}}'},
    }
    choice = {"message": {"content": None, "tool_calls": [call]}, "finish_reason": "tool_calls"}
    answer = {"choices": [choice], "usage": {"prompt_tokens": 5, "completion_tokens": 5}}
    for end in (ends.cloud, ends.fleet):
        end.fix(content=json.dumps(answer).encode())
    ends.record([request(1, tools=[tool])])
    started: list[str] = []
    watching = [True]
    # A hook can't be removed.
    sys.addaudithook(lambda event, _: started.append(event) if event in STARTS and watching else None)
    ends.run(plan_of())
    assert started == []
    subprocess.run(["true"], check=True)
    assert started
    watching.clear()
    assert not (tmp_path / "x").exists()
    assert (len(ends.cloud.received), len(ends.fleet.received)) == (2, 1)
    for asked in ANSWERS:
        (kept,) = ends.answers(asked)
        assert [(one.name, "touch" in one.arguments) for one in kept.calls] == [("sh", True)]


def test_what_was_answered_before_an_unexpected_failure_is_kept(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is paid for."""
    ends.record(request(number) for number in range(4))
    parse, calls = ask_part.parse_answer, count(1)

    def failing(*args: Any, **more: Any) -> ReplayedAnswer:
        if next(calls) == 3:
            raise ZeroDivisionError
        return parse(*args, **more)

    monkeypatch.setattr(ask_part, "parse_answer", failing)
    with pytest.raises(ZeroDivisionError):
        ends.run(plan_of(concurrency=1))
    kept = {asked: {one.request for one in ends.answers(asked)} for asked in ANSWERS}
    assert sum(map(len, kept.values())) >= 2
    before = asked_ids(ends.cloud)
    assert ends.run(plan_of(concurrency=1)).done
    asked = asked_ids(ends.cloud) - before
    assert [one for one in kept["cloud"] & kept["again"] if asked[one]] == []
    assert all(asked[one] == 1 for one in kept["cloud"] - kept["again"])


class Killed(BaseException):
    pass


@pytest.mark.parametrize("moment", range(13))
def test_killed_between_any_two_writes_it_goes_on(ends: Ends, monkeypatch: pytest.MonkeyPatch, moment: int) -> None:
    """Killed before the write or note with this number; the next run asks what is missing, and counts the reserve."""
    monkeypatch.setattr(replay_module, "IN_FILE", 4)
    ends.record(request(number) for number in range(8))
    steps = iter(range(1000))
    write, notes = type(ends.folder).write, ends.notes

    def dying_write(folder: object, kind: str, lines: object) -> object:
        if kind != "requests" and next(steps) == moment:
            raise Killed
        return write(folder, kind, lines)  # type: ignore[arg-type]

    def dying_note(what: str, outcome: Outcome) -> None:
        if next(steps) == moment:
            raise Killed
        notes.append((what, outcome))

    monkeypatch.setattr(type(ends.folder), "write", dying_write)
    plan = plan_of(budget=50)
    with ends.replaying(plan) as replay:
        replay.note = dying_note
        try:
            replay.run(ends.prepared(plan))
            assert moment >= 10
        except Killed:
            pass
    written = {asked: {one.request for one in ends.answers(asked)} for asked in ANSWERS}
    before = {asked: sum(asked_ids(end).values()) for asked, end in (("cloud", ends.cloud), ("fleet", ends.fleet))}
    noted = ends.noted
    outcome = ends.run(plan)
    assert outcome.done
    assert outcome.spent >= (noted.spent + noted.reserved if noted else 0)
    assert sum(asked_ids(ends.cloud).values()) - before["cloud"] == 16 - len(written["cloud"]) - len(written["again"])
    assert sum(asked_ids(ends.fleet).values()) - before["fleet"] == 8 - len(written["fleet"])
    for asked in ANSWERS:
        ids = [one.request for one in ends.answers(asked)]
        assert sorted(ids) == sorted(f"r{number}" for number in range(8))
    charged = sum(price_per_answer(ends) for _ in range(sum(asked_ids(ends.cloud).values())))
    assert charged <= outcome.spent + 1e-9 <= 50


def price_per_answer(ends: Ends) -> float:
    return cost(plan_of(), request(0), ends.answers("cloud")[0])


def test_what_the_folder_has_was_paid_although_no_note_says_so(ends: Ends) -> None:
    """A control host that was restored from an older snapshot must not make the budget whole again."""
    ends.record(request(number) for number in range(10))
    spent = ends.run(plan_of()).spent
    ends.notes.clear()
    assert ends.prepared(plan_of()).spent == pytest.approx(spent)
    ends.record(request(10 + number) for number in range(40))
    before = len(ends.cloud.completions())
    assert ends.run(plan_of(budget=spent)).stopped == Stopped(kind="budget")
    assert len(ends.cloud.completions()) == before


def test_the_budget_ends_it_and_a_larger_one_continues_it(ends: Ends) -> None:
    ends.record(request(number) for number in range(40))
    small = plan_of(budget=0.002)
    outcome = ends.run(small)
    assert outcome.stopped == Stopped(kind="budget")
    assert 0 < outcome.spent <= 0.002
    assert 0 < outcome.asks["cloud"].answered < 40
    assert outcome.asks["fleet"].answered == outcome.asks["cloud"].answered
    asked = sum(asked_ids(ends.cloud).values())
    again = ends.run(small)
    assert again.spent <= 0.002
    # What is left covers an answer of the usual length, but not the longest one that the request allows.
    assert sum(asked_ids(ends.cloud).values()) == asked
    assert ends.run(plan_of(budget=1)).done
    assert max(asked_ids(ends.cloud).values()) == 2


def test_what_is_in_flight_counts_with_its_most(ends: Ends) -> None:
    """Answers that never come are charged with the most that they may cost."""
    ends.seconds = 1
    ends.cloud.faults.append(Fault("silence", times=-1))
    ends.record(request(number) for number in range(40))
    outcome = ends.run(plan_of(budget=0.005))
    assert outcome.spent <= 0.005
    # 100 tokens at most, at 10 per million, and the prompt: about 0.0011 each.
    assert len(ends.cloud.completions()) == 4
    assert outcome.asks["cloud"].errors == {"no whole answer within 1 s": 4}
    assert not ends.fleet.completions()


def test_nothing_is_sent_while_the_cloud_asks_to_wait(ends: Ends) -> None:
    ends.record(request(number) for number in range(20))
    ends.cloud.faults.append(Fault("status", status=429, retry_after="2"))
    assert ends.run(plan_of(concurrency=4)).done
    received = ends.cloud.completions()
    limited = next(one for one in received if one.status == 429)
    early = [one for one in received if limited.at < one.at < limited.at + 2]
    # A few were on their way before this client had read that answer. The other 40 came when it was over.
    assert len(early) <= 6
    assert sum(one.at >= limited.at + 2 for one in received) >= 30
    assert max(asked_ids(ends.cloud).values()) == 2


def test_errors_of_the_server_are_asked_again_and_then_recorded(ends: Ends) -> None:
    ends.record(request(number) for number in range(3))
    ends.cloud.faults.append(Fault("status", status=503, times=1))
    ends.fleet.faults.append(Fault("status", status=500, times=-1))
    waited: list[float] = []
    outcome = ends.run(plan_of(concurrency=1), quick(waited))
    assert outcome.asks["cloud"].answered == 3
    assert outcome.asks["fleet"].errors == {"HTTP 500": 3}
    assert len(ends.fleet.completions()) == 12
    assert not ends.run(plan_of(), quick(waited)).stopped
    assert len(ends.fleet.completions()) == 12


@pytest.mark.parametrize("status", [502, 504])
def test_what_the_cloud_may_have_answered_is_not_asked_again_and_costs_the_most(ends: Ends, status: int) -> None:
    """A gateway that gave up doesn't stop the model: another try would be paid twice, and none is free."""
    ends.record([request(0)])
    ends.cloud.faults.append(Fault("status", status=status, times=-1))
    outcome = ends.run(plan_of(), quick([]))
    assert len(ends.cloud.completions()) == 1
    assert outcome.spent == most(plan_of(), request(0))
    assert outcome.asks["cloud"].errors == {f"HTTP {status}": 1}


def test_a_request_that_the_cloud_refuses_is_asked_nobody_else(ends: Ends) -> None:
    ends.record([request(0), request(1, top_k=1)])
    outcome = ends.run(plan_of())
    assert outcome.done
    assert outcome.asks["cloud"].errors == {"HTTP 400": 1}
    assert asked_ids(ends.fleet) == {"r0": 1}
    (error,) = [one.error for one in ends.answers("cloud") if one.error]
    assert error == "HTTP 400: Unrecognized request argument supplied: top_k"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault("redirect", times=-1, location="https://127.0.0.1:1/"), "redirects, which isn't followed"),
        (Fault("status", status=401, times=-1), "the gateways refuse the temporary key with 401"),
        (Fault("status", status=429, times=-1, retry_after="7200"), "asks to wait 7200 s"),
        (Fault("status", status=429, times=-1), "nothing but 429"),
        (Fault("status", status=500, times=-1), "left 10 requests in a row unanswered: HTTP 500"),
        (Fault("cut", times=-1), "left 10 requests in a row unanswered: the connection ended"),
        (Fault("reset", times=-1), "left 10 requests in a row unanswered: the connection ended"),
    ],
)
def test_it_stops_where_going_on_has_no_use(ends: Ends, fault: Fault, reason: str) -> None:
    ends.record(request(number) for number in range(60))
    ends.cloud.faults.append(fault)
    outcome = ends.run(plan_of(concurrency=2), quick([]))
    assert outcome.stopped
    assert reason in outcome.stopped.line()
    assert not ends.fleet.completions()
    assert len(ends.cloud.completions()) <= 48


def test_an_untrusted_certificate_and_a_wrong_key(ends: Ends, tmp_path: Path) -> None:
    ends.record([request(0)])
    stopped = ends.run(plan_of(), keys=FixedKey("rw-x")).stopped
    assert stopped == Stopped(kind="key refused", side="cloud", detail="401")
    CertificateAuthority(tmp_path).issue("other", ("localhost",), client=False)
    ends.cloud.present(tmp_path / "other.crt", tmp_path / "other.key.cred")
    untrusted = ends.run(plan_of()).stopped
    assert untrusted == Stopped(kind="untrusted", side="cloud")
    # A replay only ever connects to the gateways.
    assert untrusted.line() == "the gateways' certificate isn't trusted"


def test_a_key_that_a_gateway_forgot_is_replaced(ends: Ends) -> None:
    ends.record([request(0)])
    keys = FixedKey("rw-forgotten", KEY)
    assert ends.run(plan_of(), keys=keys).done
    assert keys.refused


def test_a_full_folder_is_an_error_and_the_money_is_noted(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    ends.record(request(number) for number in range(3))

    write = type(ends.folder).write

    def full(folder: Folder, kind: str, lines: list[str]) -> object:
        if kind == "sample":
            return write(folder, kind, lines)
        raise RackwrightError("can't be written: No space left on device", where="records")

    with monkeypatch.context() as patched:
        patched.setattr(type(ends.folder), "write", full)
        with pytest.raises(RackwrightError, match="No space left"):
            ends.run(plan_of())
    assert ends.noted is not None
    assert ends.noted.spent > 0
    assert ends.noted.reserved == 0
    assert ends.run(plan_of()).done


def test_answers_that_are_no_completions(ends: Ends) -> None:
    ends.record(request(number) for number in range(3))
    ends.cloud.faults += [Fault("garbled"), Fault("huge")]
    outcome = ends.run(plan_of(concurrency=1))
    assert outcome.asks["cloud"].errors == {
        "the answer isn't a completion": 1,
        "the answer has more than 16 MiB": 1,
    }
    assert outcome.asks["fleet"].answered == 1


def quick(waited: list[float]) -> Pace:
    """Return a pace on a clock of its own, which waiting moves."""
    return Pace(now=lambda: sum(waited), wait=waited.append)


def test_outside_the_hours_it_waits(ends: Ends) -> None:
    ends.record(request(number) for number in range(3))
    waited: list[float] = []
    pace = Pace(now=lambda: sum(waited), wait=waited.append, closed_until=lambda: max(0.0, 60 - sum(waited)))
    ends.cloud.answer = lambda asked: f"at {sum(waited) >= 60}"
    assert ends.run(plan_of(), pace).done
    assert {one.text for one in ends.answers("cloud")} == {"at True"}


def test_ctrl_c_keeps_what_was_answered(ends: Ends) -> None:
    ends.record(request(number) for number in range(30))
    pace = Pace(stopping=lambda: len(ends.cloud.received) >= 10)
    outcome = ends.run(plan_of(concurrency=2), pace)
    assert outcome.stopped == Stopped(kind="interrupted")
    assert 10 <= outcome.asks["cloud"].answered <= 12
    assert outcome.reserved == 0
    assert ends.run(plan_of()).done
    assert sum(asked_ids(ends.cloud).values()) == 60


def test_no_more_at_a_time_than_the_plan_says(ends: Ends) -> None:
    ends.record(request(number) for number in range(24))
    running, most = [0], [0]

    def answer(asked: object) -> str:
        running[0] += 1
        most[0] = max(most[0], running[0])
        ends.cloud.ended.wait(0.05)
        running[0] -= 1
        return "x"

    ends.cloud.answer = answer
    assert ends.run(plan_of(concurrency=3)).done
    assert most[0] == 3


def test_it_says_how_far_it_is(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_module, "SAY_SECONDS", 0)
    ends.record(request(number) for number in range(2))
    ends.run(plan_of(concurrency=1))
    assert len(ends.said) == 6
    assert ends.said[-1].startswith("6 of 6 asked, 0.00 of 100.00 EUR spent, about 0 s left")


def test_a_part_reads_its_own_file_of_the_copied_sample_and_no_other(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_module, "IN_FILE", 4)
    monkeypatch.setattr(sample_copy, "IN_FILE", 4)
    ends.record(request(number) for number in range(10))
    # Interrupted after the first part, and continued: by another machine, that could be.
    ends.run(plan_of(concurrency=1), Pace(stopping=lambda: len(ends.notes) == 2))
    plan, read, lines = plan_of(), [], type(ends.folder).lines
    with ends.replaying(plan) as replay:
        prepared = ends.prepared(plan)

        def reading(folder: Folder, name: str) -> list[str]:
            read.append(name)
            return lines(folder, name)

        monkeypatch.setattr(type(ends.folder), "lines", reading)
        assert replay.run(prepared).done
    assert read == ["sample-000002.jsonl.age", "sample-000003.jsonl.age"]
    assert max(asked_ids(ends.cloud).values()) == 2


def test_a_changed_file_of_the_folder_is_refused(ends: Ends) -> None:
    ends.record([request(0)])
    ((name, _),) = ends.folder.of("requests")
    (ends.folder.path / name).write_bytes(b"x")
    with pytest.raises(RackwrightError, match="was changed"):
        ends.run(plan_of())
    assert not ends.cloud.received


def test_nothing_to_replay(ends: Ends) -> None:
    ends.record([request(0, model="other"), request(1).model_copy(update={"path": "/v1/embeddings"})])
    with pytest.raises(RackwrightError, match="no request that can be replayed") as refused:
        ends.run(plan_of())
    assert refused.value.problems[0].listed == (
        "1 left out: other isn't in the plan's models",
        "1 left out: /v1/embeddings isn't replayed",
    )


def test_no_key_is_in_anything_that_is_left(ends: Ends, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    ends.record(request(number) for number in range(3))
    ends.cloud.faults += [Fault("status", status=400), Fault("garbled")]
    ends.run(plan_of(concurrency=1))
    ends.cloud.faults.append(Fault("status", status=401, times=-1))
    ends.record([request(9)])
    stopped = ends.run(plan_of())
    assert stopped.stopped
    left = [*ends.said, caplog.text, *(what + one.model_dump_json() for what, one in ends.notes)]
    left += [line for asked in ANSWERS for line in ends.folder.read(ANSWERS[asked])]
    assert not [text for text in left if KEY in text or KEY[:12] in text]

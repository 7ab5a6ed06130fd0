"""The attacks of tests/heavy/attacks: each is different, and would be seen to succeed against a lax server."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable

import pytest

from rackwright.launch import Reach
from tests.heavy.attacks import inside
from tests.heavy.attacks.attack import (
    Answer,
    Attack,
    Attempt,
    Rule,
    Seen,
    answered,
    answered_more_than,
    breaks,
    other_model,
    reflects,
    upgraded,
)
from tests.heavy.attacks.good import requests
from tests.heavy.attacks.outside import achieved, attacks, through
from tests.heavy.attacks.protocols import MARK
from tests.heavy.attacks.wire import exchange, parsed
from tests.heavy.attacks.words import MADE_UP
from tests.roles.test_proxy_units import GATEWAY
from tests.roles.test_replica import launched

ALL = attacks(MADE_UP)
GOOD = Answer(200, {}, b"{}")
REFUSED = Seen((Answer(401), Answer(400)))
EVERYTHING = Seen((GOOD, GOOD, Answer(502)), replicas=("gpu1/other@1", "gpu1/other@1"))
"""What an attacker sees of a gateway that lets everything pass."""


def test_each_attack_is_another_one() -> None:
    assert len(ALL) >= 300
    assert [name for name, times in Counter((one.family, one.name) for one in ALL).items() if times > 1] == []
    assert [sent[:80] for (sent, _), times in Counter((one.sent, one.alpn) for one in ALL).items() if times > 1] == []


@pytest.mark.parametrize("attack", ALL, ids=lambda attack: f"{attack.family}-{attack.name}"[:60])
def test_each_attack_would_be_seen_to_succeed(attack: Attack) -> None:
    assert attack.success(EVERYTHING)
    assert attack.success(REFUSED) is None
    assert [one.name for one in through([(attack, EVERYTHING), (attack, REFUSED)])] == [attack.name]


@pytest.mark.parametrize(
    ("rule", "success", "failure"),
    [
        (answered, Seen((GOOD,)), REFUSED),
        (answered, Seen((Answer(101),)), Seen((Answer(100), Answer(401)))),
        (answered, Seen((Answer(302),)), Seen((Answer(404),))),
        (answered, Seen((Answer(500),), replicas=("gpu1/assistant@1",)), Seen((Answer(500),))),
        (other_model, Seen((GOOD,), replicas=("gpu1/other@1",)), Seen((GOOD,), replicas=("gpu1/assistant@1",))),
        (answered_more_than(1), Seen((GOOD, GOOD)), Seen((GOOD, Answer(401)))),
        (answered_more_than(1), Seen((GOOD,), replicas=("a", "b")), Seen((Answer(100), GOOD), replicas=("a",))),
        (answered_more_than(0), Seen((GOOD,)), Seen((Answer(400),))),
        (breaks, Seen((Answer(502),)), Seen((Answer(500),))),
        (breaks, Seen((Answer(503),)), Seen((GOOD,), replicas=("gpu1/assistant@1",))),
        (upgraded, Seen((Answer(101),)), Seen((Answer(426),))),
        (upgraded, Seen(rest=bytes.fromhex("000000040000000000")), Seen(rest=b"\x15\x03\x03\0\x02\x02\x28")),
        (reflects(MARK), Seen((Answer(200, {"x-request-id": MARK}),)), Seen((Answer(200, {"x-request-id": "1"}),))),
    ],
)
def test_a_rule_tells_a_success_from_a_failure(rule: Rule, success: Seen, failure: Seen) -> None:
    assert rule(success)
    assert rule(failure) is None


def test_an_attempt_is_a_success_if_it_achieved_something() -> None:
    made = [Attempt("doors", "open", lambda: "reached it"), Attempt("doors", "closed", lambda: "")]
    assert [str(one) for one in achieved(made)] == ["doors: open: reached it"]


def served(answer: bytes, sent: bytes, *, closes: bool = True) -> Seen:
    """Return what a client sees of a server that gives this answer."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        theirs.recv(65536)
        theirs.sendall(answer)
        if closes:
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    seen = exchange(ours, sent)
    thread.join()
    theirs.close()
    return seen


def test_all_answers_of_a_connection_are_seen() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
    seen = served(
        b"HTTP/1.1 100 Continue\r\n\r\n" + chunked + b"HTTP/1.1 401 No\r\nX-A: b\r\nContent-Length: 1\r\n\r\nx!", b"a"
    )
    assert [(answer.status, answer.body) for answer in seen.answers] == [(100, b""), (200, b"ab"), (401, b"x")]
    assert (seen.answers[2].headers["x-a"], seen.rest, seen.unfinished) == ("b", b"!", False)


def test_an_answer_that_says_it_is_the_last_is_waited_for_no_longer() -> None:
    last = b"HTTP/1.1 413 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"
    assert [answer.status for answer in served(last, b"a", closes=False).answers] == [413]


def test_what_is_not_http_is_kept() -> None:
    assert parsed(b"SSH-2.0-a\r\n") == ((), b"SSH-2.0-a\r\n")


def test_a_good_request_counts_as_one_only_when_it_is_answered() -> None:
    assert [one.success(REFUSED) for one in requests(MADE_UP)] == [None] * len([*requests(MADE_UP)])


@pytest.mark.parametrize("unit", [GATEWAY, *(launched(reach) for reach in Reach)])
def test_an_intruder_has_the_whole_sandbox_of_the_unit(unit: str) -> None:
    made = inside.intruder(unit, "/run/attack/a", "7").splitlines()
    started = ("Exec", "Type=", "Restart", "WantedBy=", "Condition", '  "')
    lost = [line for line in unit.splitlines() if line not in made and not line.startswith(started)]
    assert lost == []
    assert [line for line in made if line.startswith("Exec")] == ["ExecStart=/usr/bin/python3 - 7"]


def test_what_an_attempt_inside_got_is_reported_unless_it_may() -> None:
    told = inside.parsed("socket: IPv4\tgot a socket\nread: passwords\topened /etc/shadow\nwrite: units\t\n")
    nowhere: Callable[..., inside.Told] = dict
    place = inside.Place("a proxy", nowhere, ("socket: IP",))
    assert [str(one) for one in place.through(told)] == ["a proxy: read: passwords: opened /etc/shadow"]
    assert place.attempts(told) == 2

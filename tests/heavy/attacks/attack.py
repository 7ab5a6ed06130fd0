"""An attack from outside, what its attacker gets to see, and when that is a success for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

OTHER = "/other@1"
"""Ends the name of the replica that the attackers' key is not for."""


@dataclass(frozen=True)
class Answer:
    """One HTTP answer. Names of headers are in lowercase."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Seen:
    """What an attack led to."""

    answers: tuple[Answer, ...] = ()
    rest: bytes = b""
    """What came and is no HTTP/1 answer."""
    replicas: tuple[str, ...] = ()
    """Those that the gateway asked, according to its log."""
    told: str = ""
    """What an attack that isn't an HTTP request achieved; "" if nothing."""
    unfinished: bool = False
    """The connection was still open when the time was up, so the attack says nothing."""


Rule = Callable[[Seen], str | None]
"""Returns what the attacker achieved, None if nothing."""


@dataclass(frozen=True)
class Attack:
    """One request, or some in one connection."""

    family: str
    name: str
    sent: bytes
    """Over TLS to the gateway."""
    success: Rule
    alpn: tuple[str, ...] = ("http/1.1",)


@dataclass(frozen=True)
class Attempt:
    """An attack that isn't just bytes over TLS: `act` returns what it achieved, "" if nothing."""

    family: str
    name: str
    act: Callable[[], str]


def answered(seen: Seen) -> str | None:
    """The request should be refused, whatever it asks for."""
    if passed := [answer.status for answer in seen.answers if 200 <= answer.status < 400 or answer.status == 101]:
        return f"was answered {passed[0]}"
    return f"reached {seen.replicas[0]}" if seen.replicas else None


def other_model(seen: Seen) -> str | None:
    """The key is for the other model only. Which model the request names may be unclear; which one answers is not."""
    return next((f"reached {replica}" for replica in seen.replicas if replica.endswith(OTHER)), None)


def answered_more_than(most: int) -> Rule:
    """Of the requests in one connection, at most these many have a key."""

    def rule(seen: Seen) -> str | None:
        good = [answer for answer in seen.answers if 200 <= answer.status < 400]
        if len(good) > most:
            return f"had {len(good)} answers, {most} at most are right"
        return f"reached {seen.replicas}" if len(seen.replicas) > most else None

    return rule


def breaks(seen: Seen) -> str | None:
    """The engine should refuse the request, or answer it, and live."""
    broken = [answer.status for answer in seen.answers if answer.status in (502, 503, 504)]
    return f"the engine broke off: {broken[0]}" if broken else other_model(seen)


def upgraded(seen: Seen) -> str | None:
    """The gateway speaks only HTTP/1.1, and never lets a connection through as it is."""
    if any(answer.status == 101 for answer in seen.answers):
        return "was switched to another protocol"
    # A server that speaks HTTP/2 begins with a frame of type SETTINGS.
    if len(seen.rest) >= 9 and seen.rest[3] == 4:
        return "was answered in HTTP/2"
    return answered(seen)


def reflects(*words: str) -> Rule:
    """Headers that a client made up should have no effect on the answer's headers."""

    def rule(seen: Seen) -> str | None:
        told = [f"{name}: {text}" for answer in seen.answers for name, text in answer.headers.items()]
        found = [line for line in told for word in words if word in line]
        return f"the answer has {found[0]!r}" if found else other_model(seen)

    return rule


def shows(*words: bytes) -> Rule:
    """The answer should have nothing of an engine's other paths."""

    def rule(seen: Seen) -> str | None:
        found = [word for answer in seen.answers for word in words if word in answer.body]
        return f"the answer has {found[0]!r}" if found else other_model(seen)

    return rule

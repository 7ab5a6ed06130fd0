"""One usage of all gateways: what is added up, and how the documents are read."""

from __future__ import annotations

from datetime import date

import pytest

from rackwright.errors import HostError
from rackwright.gateway.usage import parse_usage
from rackwright.gateway.whole_usage import Histogram, Lost, Sums, Usage
from rackwright.roles.usage.program.day import EDGES, Day, Ended, Row
from rackwright.roles.usage.program.form import days_text, state_text
from rackwright.roles.usage.program.state import State

TODAY = 20_792


def day(number: int, *ended: tuple[str, str, int]) -> Day:
    """Return a day on which these keys used these models for so many milliseconds."""
    made = Day(number)
    for key, model, took in ended:
        row = Row(key, {"web": "research"}.get(key, ""), model)
        made.count(Ended(number * 86_400_000, row, 0, 10, 4, 2, False, took // 2, took))
    return made


USAGE = Usage(
    {
        "gate1": [day(TODAY, ("web", "chat", 100), ("app", "chat", 400)), day(TODAY + 1, ("web", "chat", 100))],
        "gate2": [day(TODAY, ("web", "chat", 900), ("web", "coder", 20_000))],
    },
    {"gate3": HostError("timed out", where="gate3")},
)


def sums(requests: int, milliseconds: int) -> Sums:
    return Sums(requests, 0, 0, 0, 10 * requests, 4 * requests, 2 * requests, 0, milliseconds)


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (("key",), {("app",): sums(1, 400), ("web",): sums(4, 21_100)}),
        (("owner",), {("",): sums(1, 400), ("research",): sums(4, 21_100)}),
        (("model",), {("chat",): sums(4, 1500), ("coder",): sums(1, 20_000)}),
        (
            ("day", "key"),
            {
                ("2026-12-05", "app"): sums(1, 400),
                ("2026-12-05", "web"): sums(3, 21_000),
                ("2026-12-06", "web"): sums(1, 100),
            },
        ),
        ((), {(): sums(5, 21_500)}),
    ],
)
def test_gateways_are_added_up_by_what_is_asked(by: tuple[str, ...], expected: dict[tuple[str, ...], Sums]) -> None:
    assert {group.names: group.sums for group in USAGE.by(by)} == expected
    assert USAGE.total == sums(5, 21_500)


def test_times_are_known_by_model_and_day_only() -> None:
    chat, coder = USAGE.by(("model",))
    assert chat.first_byte is not None
    assert chat.total is not None
    assert coder.total is not None
    assert [chat.total.at_most(share) for share in (0.5, 0.75, 0.95)] == [150, 500, 1000]
    assert (chat.first_byte.at_most(0.5), coder.total.at_most(0.5)) == (100, 30_000)
    assert all(group.total is None for by in (("key",), ("owner", "model")) for group in USAGE.by(by))


def test_what_takes_longer_than_all_edges_or_never_came() -> None:
    counts = [0] * len(EDGES)
    assert Histogram((*counts, 3)).at_most(0.5) is None
    assert Histogram((*counts, 0)).at_most(0.5) is None


def test_what_is_lost_is_by_gateway_and_day() -> None:
    lost = Day(TODAY, lost=3)
    lost.note_gap(5, 9)
    usage = Usage({"gate1": [lost, Day(TODAY + 1)]}, {})
    assert usage.lost == (Lost("gate1", date(2026, 12, 5), 3, ((5, 9),)),)


def test_an_open_day_takes_precedence_over_its_document() -> None:
    newer, older, other = day(TODAY, ("web", "chat", 1), ("web", "chat", 1)), day(TODAY, ("web", "chat", 1)), Day(5)
    state = state_text(State("gate1", days={TODAY: newer}))
    said = "\n".join([state, days_text("gate1", [other]), days_text("gate1", [older])])
    assert parse_usage("gate1", f"{said}\n") == (other, newer)


@pytest.mark.parametrize(
    ("said", "why"), [("", "no document"), (state_text(State("gate2")), 'the usage of "gate2"'), ("{}", "usage/1")]
)
def test_what_is_not_the_gateways_usage_is_refused(said: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_usage("gate1", said)

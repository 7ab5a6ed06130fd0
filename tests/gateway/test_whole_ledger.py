"""One ledger from the documents of several gateways: what one has lost and another knows, and who can't be asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rackwright.errors import HostError
from rackwright.gateway.ledger import Ledgers, parse_ledger
from rackwright.gateway.whole_ledger import Ledger, Residual, Sums, whole
from rackwright.operations.log_program.ending import COMPLETED, REJECTED
from rackwright.remote import Completed
from rackwright.roles.ledger.program.book import Book
from rackwright.roles.ledger.program.rows import Row

HOUR = 500_000
NOW = (HOUR + 1) * 3_600_000
ROW = Row(HOUR, "good", "cloud")
BEGINS = datetime.fromtimestamp(HOUR * 3600, UTC)


def book(name: str, accepted: dict[str, dict[int, int]], outcomes: list[int] | None = None, row: Row = ROW) -> Book:
    """Return a document: gateway → worker → accepted, and the outcomes of its own."""
    made = Book(name, HOUR - 200, taken=NOW)
    made.accepted = {(gateway, row): workers for gateway, workers in accepted.items()}
    if outcomes:
        made.outcomes[row] = outcomes
    return made


def both(first: Book, second: Book) -> Ledger:
    return whole({"gate1": first, "gate2": second}, [first, second])


def test_gateways_that_know_the_same_have_no_residual() -> None:
    first = book("gate1", {"gate1": {7: 5, 8: 1}, "gate2": {7: 2}}, [4, 1, 1, 0])
    second = book("gate2", {"gate1": {7: 5, 8: 1}, "gate2": {7: 2}}, [0, 0, 0, 2])
    found = both(first, second)
    assert found.totals == {("good", "cloud"): Sums(8, 4, 1, 1, 2, 0)}
    assert (found.residuals, found.unsettled, found.lost) == ((), (), ())
    assert found.residual("good", "cloud") == Residual(0, 0)


def test_a_copy_may_be_behind_and_not_ahead() -> None:
    first = book("gate1", {"gate1": {7: 5}}, [5, 0, 0, 0])
    assert both(first, book("gate2", {"gate1": {7: 3}})).residuals == ()
    found = both(first, book("gate2", {"gate1": {7: 6}}))
    assert [(line.gateway, line.begins, line.key, line.side, line.residual) for line in found.residuals] == [
        ("gate1", BEGINS, "good", "cloud", Residual(1, 1))
    ]


def test_what_a_copy_learned_after_the_gateway_was_asked_first_is_no_residual() -> None:
    earlier = book("gate1", {"gate1": {7: 5}}, [5, 0, 0, 0]), book("gate2", {"gate1": {7: 6}})
    later = book("gate1", {"gate1": {7: 6}}, [6, 0, 0, 0]), book("gate2", {"gate1": {7: 9}})
    assert whole({"gate1": later[0], "gate2": later[1]}, earlier).residuals == ()


def test_a_gateway_that_lost_its_document_shows_what_the_other_one_knows() -> None:
    found = both(Book("gate1", HOUR, taken=NOW), book("gate2", {"gate1": {7: 6}, "gate2": {7: 1}}, [1, 0, 0, 0]))
    (line,) = found.residuals
    assert (line.gateway, line.sums, line.residual) == ("gate1", Sums(6), Residual(6, 6))
    assert found.totals == {("good", "cloud"): Sums(7, 1)}


def test_a_gateway_that_can_t_be_asked_has_no_known_residual() -> None:
    second = book("gate2", {"gate1": {7: 6}, "gate2": {7: 1}}, [1, 0, 0, 0])
    found = whole({"gate1": HostError("timed out", where="gate1"), "gate2": second}, [second])
    assert (found.residuals, [*found.unasked]) == ((), ["gate1"])
    assert [(line.gateway, line.sums, line.residual) for line in found.unsettled] == [("gate1", Sums(6), None)]
    assert found.residual("good", "cloud") is None


def test_a_residual_with_bounds_is_found_if_it_can_t_be_0() -> None:
    first = book("gate1", {"gate1": {7: 5}}, [5, 0, 0, 0])
    first.residuals[ROW] = (-1, 2)
    found = whole({"gate1": first}, [])
    assert (len(found.residuals), len(found.unsettled)) == (0, 1)
    for bounds in ((1, 2), (-2, -1)):
        first.residuals[ROW] = bounds
        found = whole({"gate1": first}, [])
        assert (len(found.residuals), len(found.unsettled)) == (1, 0)
        assert found.residual("good", "cloud") == Residual(*bounds)


def test_days_that_one_of_them_has_folded_are_compared_as_days() -> None:
    row = Row(HOUR - 100, "good", "cloud")
    first = book("gate1", {"gate1": {7: 5}, "gate2": {7: 3}}, [4, 0, 0, 1], row)
    second = book("gate2", {"gate1": {7: 5}, "gate2": {7: 3}}, [3, 0, 0, 0], row)
    first.taken = second.taken = (HOUR - 60) * 3_600_000
    second.fold(NOW)
    assert second.days
    assert not first.days
    found = both(first, second)
    assert found.residuals == ()
    assert {line.lasts for line in found.lines} == {timedelta(days=1)}
    assert found.totals == {("good", "cloud"): Sums(8, 7, 0, 0, 1)}
    # The other one knows of two more.
    second.days = {day: [sums[0] + 2 * (day.gateway == "gate1"), *sums[1:]] for day, sums in second.days.items()}
    assert [(line.gateway, line.residual) for line in both(first, second).residuals] == [("gate1", Residual(2, 2))]


def fallen(name: str, raw: int, moved: int, row: Row = ROW) -> Book:
    """Return a document of requests that were accepted for the fleet, of which some fell back and all ended well."""
    made = Book(name, HOUR - 200, taken=NOW)
    fleet, fallback = (row._replace(side=side) for side in ("fleet", "fallback"))
    made.accepted = {("gate1", fleet): {7: raw}, ("gate1", fallback): {7: moved}}
    if name == "gate1":
        made.outcomes = {fleet: [raw - moved, 0, 0, 0], fallback: [moved, 0, 0, 0]}
    return made


def test_what_fell_back_counts_once_also_if_a_copy_doesn_t_know_of_it_yet() -> None:
    expected = {("good", "fallback"): Sums(3, 3), ("good", "fleet"): Sums(2, 2)}
    for copied in (3, 2):
        found = both(fallen("gate1", 5, 3), fallen("gate2", 5, copied))
        assert (found.totals, found.residuals) == (expected, ())
    lost = both(fallen("gate1", 5, 3), fallen("gate2", 7, 4))
    assert {line.side: line.residual for line in lost.residuals} == {
        "fallback": Residual(1, 1),
        "fleet": Residual(1, 1),
    }


def test_days_count_what_fell_back_once_too() -> None:
    row = Row(HOUR - 100, "good", "fleet")
    books = fallen("gate1", 5, 3, row), fallen("gate2", 5, 2, row)
    for one in books:
        one.fold(NOW)
        assert not one.rows()
    found = both(*books)
    assert {line.lasts for line in found.lines} == {timedelta(days=1)}
    assert found.totals == {("good", "fallback"): Sums(3, 3), ("good", "fleet"): Sums(2, 2)}
    assert found.residuals == ()


def test_a_part_of_the_ledger_begins_with_the_hour_of_its_time() -> None:
    first = book("gate1", {"gate1": {7: 5}}, [5, 0, 0, 0])
    first.lost = [(NOW - 7_200_000, NOW - 3_600_000)]
    found = whole({"gate1": first}, [])
    during, after = BEGINS + timedelta(minutes=59), BEGINS + timedelta(hours=1)
    assert [len(found.since(when).lines) for when in (BEGINS, during, after)] == [1, 1, 0]
    assert [len(found.since(when).lost) for when in (BEGINS - timedelta(hours=1), after)] == [1, 0]


class Answering:
    """Gateways that answer the script with a text, in order."""

    def __init__(self, **answers: list[Completed | HostError]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def run_on(self, names: tuple[str, ...], command: str, *, stdin: str, **_: object) -> dict[str, object]:
        self.asked.append(stdin)
        return {name: self.answers[name].pop(0) for name in names}


def said(made: Book) -> Completed:
    return Completed(0, made.text().encode())


def test_each_gateway_is_asked_twice_because_others_may_know_more_than_the_first_time() -> None:
    early, late = (book("gate1", {"gate1": {7: number}}, [number, 0, 0, 0]) for number in (5, 6))
    copy = book("gate2", {"gate1": {7: 6}})
    remote = Answering(gate1=[said(early), said(late)], gate2=[said(copy), said(copy)])
    found = Ledgers(remote, ("gate1", "gate2")).read()  # type: ignore[arg-type]
    assert (found.residuals, found.totals) == ((), {("good", "cloud"): Sums(6, 6)})
    assert 'systemctl start "$service"' in remote.asked[0]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Completed(1, b"", b"HAProxy doesn't run\n"), "HAProxy doesn't run"),
        (Completed(0, b"garbage"), "its ledger"),
        (said(Book("gate2", 1)), "its ledger"),
        (HostError("timed out", where="gate1"), "timed out"),
    ],
)
def test_a_gateway_that_fails_or_answers_something_else_counts_as_unasked(
    answer: Completed | HostError, why: str
) -> None:
    remote = Answering(gate1=[answer, answer])
    found = Ledgers(remote, ("gate1",)).read()  # type: ignore[arg-type]
    assert found.lines == ()
    assert why in str(found.unasked["gate1"].problems[0])


def test_a_document_of_another_gateway_is_refused() -> None:
    made = book("gate1", {"gate1": {7: 5}}, [0, 0, 0, 0])
    made.ended(ROW, COMPLETED)
    made.ended(ROW, REJECTED)
    assert parse_ledger("gate1", made.text()) == made
    with pytest.raises(ValueError, match="the ledger of gate1"):
        parse_ledger("gate2", made.text())

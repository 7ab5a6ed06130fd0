"""`migrate ledger`: the sums, each residual with the next command, and the exit codes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from rackwright.errors import HostError
from rackwright.gateway.whole_ledger import Ledger, whole
from rackwright.roles.ledger.program.book import Book
from rackwright.roles.ledger.program.rows import Row
from tests.cli.command_line import rackwright
from tests.lifecycle.migrate.desks import Desk

SINCE = "2026-12-02T04:00"
HOUR = int(datetime(2026, 12, 2, 5, tzinfo=UTC).timestamp()) // 3600


def gateway(name: str, accepted: int, outcomes: list[int], copies: dict[str, int] | None = None) -> Book:
    made = Book(name, HOUR - 10, taken=(HOUR + 1) * 3_600_000)
    row = Row(HOUR, "good", "cloud")
    for of, number in {name: accepted, **(copies or {})}.items():
        made.count(of, row, 7, number)
    made.outcomes[row] = outcomes
    return made


@pytest.fixture
def run(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    def ran(found: Ledger, *words: str) -> Any:
        monkeypatch.setattr("rackwright.lifecycle.migrate.ledger.Ledgers.read", lambda _: found)
        return rackwright("-f", desk.path, "migrate", "ledger", "--since", SINCE, *words)

    return ran


def test_without_a_residual_there_are_only_sums(run: Callable[..., Any]) -> None:
    first, second = gateway("gate1", 1200, [1190, 5, 3, 2]), gateway("gate2", 3, [3, 0, 0, 0])
    second.outcomes[Row(HOUR, "other", "fleet")] = [1, 0, 0, 0]
    second.count("gate2", Row(HOUR, "other", "fleet"), 7, 2)
    second.running[Row(HOUR, "other", "fleet")] = 1
    done = run(whole({"gate1": first, "gate2": second}, []))
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "since 2026-12-02T04:00:00Z",
        "key    side   accepted  completed  cancelled  interrupted  rejected  running  residual",
        "good   cloud  1,203     1,193      5          3            2         0        0",
        "other  fleet  2         1          0          0            0         1        0",
    ]


def test_a_residual_names_gateway_hour_key_and_side_and_exits_with_12(run: Callable[..., Any]) -> None:
    first, second = gateway("gate1", 5, [5, 0, 0, 0]), gateway("gate2", 1, [1, 0, 0, 0], {"gate1": 8})
    first.lost = [((HOUR - 1) * 3_600_000, HOUR * 3_600_000)]
    found = whole({"gate1": first, "gate2": second}, [second])
    done = run(found)
    assert done.exit_code == 12
    assert done.stdout.splitlines()[2:] == [
        "good  cloud  9         6          0          0            0         0        3",
        "gate1: the log lost lines between 2026-12-02T04:00:00Z and 2026-12-02T05:00:00Z",
        "",
        "accepted, not running and not in the log:",
        "gateway  hour               key   side   residual",
        "gate1    2026-12-02T05:00Z  good  cloud  3",
        "next: rackwright logs gate1",
    ]
    document = run(found, "--json").document
    assert document["residuals"] == [
        {
            "gateway": "gate1", "begins": "2026-12-02T05:00:00Z", "hours": 1, "key": "good", "side": "cloud",
            "accepted": 8, "completed": 5, "cancelled": 0, "interrupted": 0, "rejected": 0, "running": 0,
            "residual": {"low": 3, "high": 3},
        }
    ]  # fmt: skip
    assert document["lost"] == [
        {"gateway": "gate1", "after": "2026-12-02T04:00:00Z", "before": "2026-12-02T05:00:00Z"}
    ]


def test_a_gateway_that_can_t_be_asked_exits_with_3_and_its_residual_is_not_known(run: Callable[..., Any]) -> None:
    second = gateway("gate2", 1, [1, 0, 0, 0], {"gate1": 8})
    found = whole({"gate1": HostError("timed out", where="gate1"), "gate2": second}, [second])
    done = run(found)
    assert done.exit_code == 3
    assert "gate1: timed out" in done.stderr
    assert done.stdout.splitlines()[2:] == [
        "good  cloud  9         1          0          0            0         0        not known",
        "",
        "not settled yet:",
        "gateway  hour               key   side   residual",
        "gate1    2026-12-02T05:00Z  good  cloud  not known",
        "next: rackwright status",
    ]
    document = run(found, "--json").document
    assert document["missed"] == {"gate1": "timed out"}
    assert document["totals"][0]["residual"] is None


def test_what_is_open_is_shown_with_its_bounds(run: Callable[..., Any]) -> None:
    first = gateway("gate1", 5, [5, 0, 0, 0])
    first.residuals[Row(HOUR, "good", "cloud")] = (-1, 2)
    done = run(whole({"gate1": first}, []))
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-2:] == [
        "gate1    2026-12-02T05:00Z  good  cloud  -1 to 2",
        "next: rackwright migrate ledger",
    ]


def test_a_time_after_the_last_request_and_a_time_that_is_none(run: Callable[..., Any], desk: Desk) -> None:
    done = run(whole({"gate1": gateway("gate1", 5, [5, 0, 0, 0])}, []), "--since", "2026-12-03")
    assert done.stdout.splitlines() == ["since 2026-12-03T00:00:00Z", "no request of a model that a cloud answers"]
    assert rackwright("-f", desk.path, "migrate", "ledger", "--since", "soon").exit_code == 2


def test_a_fleet_without_clouds_keeps_no_ledger(desk: Desk) -> None:
    text = desk.path.read_text()
    begins, ends = text.index("clouds:"), text.index("hosts:")
    desk.path.write_text(text[:begins] + text[ends:])
    done = rackwright("-f", desk.path, "migrate", "ledger")
    assert done.exit_code == 2
    assert "no model has a cloud" in done.stderr

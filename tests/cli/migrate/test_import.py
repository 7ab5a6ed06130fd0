"""`migrate import`: what it prints, and its errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.cli.command_line import rackwright
from tests.lifecycle.migrate.desks import Desk
from tests.migrate.importing.logs import lines

MESSAGES = [{"role": "user", "content": "I am anna@example.com"}]


@pytest.fixture(autouse=True)
def sessions(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The desk's session, which needs no lock."""

    @contextmanager
    def opened(*_: object, **__: object) -> Iterator[Any]:
        yield desk.session

    monkeypatch.setattr("rackwright.lifecycle.session.session.open_session", opened)


def test_it_says_what_was_added_skipped_and_replaced(desk: Desk) -> None:
    path = desk.folder / "requests.jsonl"
    path.write_text(
        lines({"model": "gpt-4o-mini", "messages": MESSAGES}, {"model": "gpt-9", "messages": MESSAGES}, 3)
    )
    ran = rackwright("-f", desk.path, "migrate", "import", "support", path)
    assert (ran.exit_code, ran.stdout.splitlines()) == (
        0,
        [
            "2 requests added, of 3 read in 1 file",
            "  skipped, not an object: 1, the first is requests.jsonl:3",
            "  gpt-4o-mini → assistant: 1",
            "  gpt-9 → not in the plan: 1",
            "personal data replaced: email 2",
            "2 requests without a time of arrival: `migrate capacity` can't use them",
            "next: rackwright migrate assess support",
        ],
    )
    document = rackwright("-f", desk.path, "migrate", "import", "support", path, "--json").document
    assert document == {
        "format": "migration-import/1",
        "files": 1,
        "read": 3,
        "kept": 0,
        "skipped": {"duplicate id": 2, "not an object": 1},
        "first_skipped": {"duplicate id": "requests.jsonl:1", "not an object": "requests.jsonl:3"},
        "personal": {},
        "models": {},
        "undated": 0,
        "unmapped": {},
    }


def test_files_that_cant_be_used_are_named_without_a_traceback(desk: Desk) -> None:
    (desk.folder / "a").write_text("hello")
    ran = rackwright("-f", desk.path, "migrate", "import", "support", desk.folder / "a", desk.folder / "b", "--json")
    assert ran.exit_code == 10
    assert [problem["what"] for problem in ran.error["problems"]] == ["is of no known format", "doesn't exist"]


def test_a_format_that_there_isnt_is_a_usage_error(desk: Desk) -> None:
    assert rackwright("-f", desk.path, "migrate", "import", "support", "x", "--format", "xml").exit_code == 2
    assert rackwright("-f", desk.path, "migrate", "import", "support").exit_code == 2

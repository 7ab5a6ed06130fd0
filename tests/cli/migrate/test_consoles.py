"""Each command gives its console to the migration's place: what it waits for is shown, and what it asks is asked."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from rackwright.cli.common.console import Console
from rackwright.errors import RackwrightError
from tests.cli.command_line import rackwright
from tests.lifecycle.migrate.desks import Desk

COMMANDS = ("capture", "import", "erase", "assess", "replay", "score", "capacity", "cost")
MODULES = {"import": "import_"}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_place_has_the_commands_console(
    desk: Desk, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[object] = []

    def opened(session: object, name: str, console: object) -> None:
        given.append(console)
        raise RackwrightError("opened")

    monkeypatch.setattr("rackwright.lifecycle.migrate.place.open_place", opened)
    monkeypatch.setattr(
        "rackwright.lifecycle.session.session.open_session", lambda *_, **__: nullcontext(desk.session)
    )
    monkeypatch.setattr(f"rackwright.cli.migrate.{MODULES.get(command, command)}.hosts_needed", lambda: None)
    (tmp_path / "log.jsonl").write_text("{}")
    files = [tmp_path / "log.jsonl"] if command == "import" else []
    ran = rackwright("-f", desk.path, "migrate", command, "support", *files)
    assert "opened" in ran.stderr
    (console,) = given
    assert isinstance(console, Console)

"""--unattended at the command line: it asks no one, and it doesn't go with options that agree."""

from __future__ import annotations

import os
import pty
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.cli.common import change_lock as change_lock_module
from rackwright.errors import RackwrightError
from rackwright.lifecycle.apply import procedure as apply_procedure
from rackwright.lifecycle.session import session as session_module
from rackwright.lifecycle.session.agreements import Agreements
from tests.cli.command_line import rackwright

LOCK_OPTIONS = ("--yes", "--allow-outage", "--not-stale")
COMMANDS = {
    ("apply",): ("--yes", "--allow-outage", "--not-stale", "--close-ports", "--drop-names"),
    ("patch", "run"): LOCK_OPTIONS,
    ("drill", "run"): ("--yes",),
    ("rollout", "resume"): LOCK_OPTIONS,
    ("model", "update", "assistant"): LOCK_OPTIONS,
    ("model", "rollback", "assistant"): LOCK_OPTIONS,
    ("model", "promote", "assistant", "--from", "other.yml"): LOCK_OPTIONS,
    ("runtime", "update"): LOCK_OPTIONS,
}


@pytest.mark.parametrize(
    ("words", "option"), [(words, option) for words, options in COMMANDS.items() for option in options]
)
def test_no_option_that_agrees_goes_with_it(site: Path, words: tuple[str, ...], option: str) -> None:
    ran = rackwright("-f", site, *words, "--unattended", option)
    assert ran.exit_code == 2
    assert f"--unattended can't be combined with {option}" in ran.stderr
    assert "unattended.allow" in ran.stderr


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A real terminal as standard input. If a question is asked there, the answer is no."""
    leader, follower = pty.openpty()
    os.write(leader, b"n\n" * 5)
    with os.fdopen(follower, "r") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert sys.stdin.isatty()
        yield
    os.close(leader)


class Desk:
    """Stand-ins for what reaches hosts. They ask what a real apply asks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.unattended: list[Agreements | None] = []
        self.refusal: RackwrightError | None = None
        session = SimpleNamespace(connect_ahead=lambda *_: None, fleet=SimpleNamespace(control=()))
        monkeypatch.setattr(session_module, "open_session", lambda *_, **__: nullcontext(session))
        monkeypatch.setattr(apply_procedure, "apply", self.apply)

    def apply(self, session: object, options: Any, console: Any, show: object) -> Any:
        self.unattended.append(options.unattended)
        console.confirm("Apply this?")
        try:
            console.confirm("Is it gone?", refusal=RackwrightError("only a person knows that"))
        except RackwrightError as error:
            self.refusal = error
        raise RackwrightError("done")


def test_an_apply_asks_nothing_even_at_a_terminal(
    site: Path, monkeypatch: pytest.MonkeyPatch, terminal: None
) -> None:
    desk = Desk(monkeypatch)
    stdin = sys.stdin
    monkeypatch.setattr("tests.cli.command_line.TemporaryFile", lambda *_: _AsStdin(stdin))
    ran = rackwright("-f", site, "apply", "--unattended")
    assert ran.stderr.endswith("error: done\n")
    assert "?" not in ran.stderr
    assert str(desk.refusal) == "only a person knows that"
    assert [one and one.fleet.path for one in desk.unattended] == [site]


class _AsStdin:
    """Lets the command line in tests read from this stream."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None: ...

    def write(self, _: str) -> None: ...

    def seek(self, _: int) -> None: ...

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def test_a_person_who_applies_has_no_agreements(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch)
    rackwright("-f", site, "apply", "--yes")
    assert desk.unattended == [None]


@pytest.mark.parametrize(
    ("words", "unattended"),
    [
        (("model", "update", "assistant"), True),
        (("model", "rollback", "assistant"), True),
        (("runtime", "update"), True),
        (("runtime", "update", "--yes"), False),
    ],
)
def test_an_update_is_unattended_if_it_is_asked_for(
    site: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], unattended: bool
) -> None:
    from rackwright.cli import runtime
    from rackwright.cli.model import update

    seen = []
    for module in (update, runtime):
        monkeypatch.setattr(module, "change_lock", lambda *said: seen.append(said[-1]))
    ran = rackwright("-f", site, *words, *(["--unattended"] if unattended else []))
    assert ran.exit_code == 0, ran.stderr
    (agreed,) = seen
    assert isinstance(agreed, change_lock_module.Agreed)
    assert (agreed.unattended, agreed.yes) == (unattended, not unattended)

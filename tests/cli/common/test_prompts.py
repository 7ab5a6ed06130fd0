"""Questions at a terminal: what else runs while a command waits for the answer."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rackwright.errors import ExitCode
from tests.terminal import at_terminal, python
from tests.waiting import state, wait_until

ASKS = """
from rackwright.cli.common.context import hosts_needed
hosts_needed()
from rackwright.cli.common.options import confirm
from rackwright.errors import RackwrightError
from rackwright.state.lease_session import hold, owner
from rackwright.state.store import FileStore
from tests.shells import LocalShell

class Told(FileStore):
    def renew(self, lease, seconds=None):
        print("renewed", flush=True)
        return super().renew(lease, seconds)

with hold(Told(LocalShell(), {folder!r}), owner("anna", "laptop", "apply"), every=0.01):
    try:
        confirm("Apply this?", yes=False)
        print("agreed", flush=True)
    except RackwrightError as error:
        print(error, flush=True)
"""
TWICE = """
from rackwright.cli.common.options import confirm
confirm("First?", yes=False)
confirm("Second?", yes=False)
print("both were agreed to")
"""
ELSEWHERE = """
import signal, threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
"""
"""Another thread takes the signal, so the main thread's system call goes on."""


def test_a_lease_is_renewed_while_a_question_waits(tmp_path):
    with at_terminal(python(ASKS.format(folder=str(tmp_path)))) as terminal:
        terminal.read_until("Apply this? [y/N]: ")
        terminal.read_until("renewed", times=terminal.shown.count("renewed") + 3)
        terminal.type("y\n")
        assert terminal.end() == 0
    assert "agreed" in terminal.shown


@pytest.mark.parametrize(("typed", "said"), [("n\n", "not confirmed, nothing was changed"), ("\n", "not confirmed")])
def test_an_operator_who_declines_reads_that_nothing_was_changed(tmp_path, typed, said):
    with at_terminal(python(ASKS.format(folder=str(tmp_path)))) as terminal:
        terminal.read_until("Apply this?")
        terminal.type(typed)
        terminal.end()
    assert said in terminal.shown


def test_an_answer_that_is_none_is_asked_for_again_and_the_lease_is_renewed_all_the_same(tmp_path):
    with at_terminal(python(ASKS.format(folder=str(tmp_path)))) as terminal:
        terminal.read_until("Apply this?")
        terminal.type("maybe\n")
        terminal.read_until("Apply this?", times=2)
        terminal.read_until("renewed", times=terminal.shown.count("renewed") + 3)
        terminal.type("yes\n")
        assert terminal.end() == 0
    assert "agreed" in terminal.shown


@pytest.mark.parametrize("typed", ["\x03", "\x04"], ids=["Ctrl-C", "Ctrl-D"])
def test_a_question_that_is_left_ends_the_command(typed):
    with at_terminal(python(TWICE)) as terminal:
        terminal.read_until("First?")
        terminal.type(typed)
        assert terminal.end() != 0
    assert "both were agreed to" not in terminal.shown
    assert "Second?" not in terminal.shown


def test_ctrl_c_ends_a_question_even_if_nothing_interrupts_the_wait_itself():
    """Ctrl-C may arrive just before the wait starts: its handler is due, but the loop already waits."""
    with at_terminal(python(ELSEWHERE + TWICE)) as terminal:
        terminal.read_until("First?")
        wait_until(lambda: state(terminal.process.pid) == "S")
        terminal.type("\x03")
        assert terminal.end(30) != 0
    assert "Second?" not in terminal.shown


@pytest.mark.parametrize(
    ("given", "agreed"), [(b"y\ny\n", True), (b"y\nn\n", False), (b"y\r\nYes", True), (b"y\n", False), (b"", False)]
)
def test_a_script_may_answer_one_question_after_another(given, agreed):
    done = subprocess.run([sys.executable, "-c", TWICE], input=given, capture_output=True, timeout=60)
    assert (b"both were agreed to" in done.stdout) is agreed
    assert (done.returncode == ExitCode.DONE) is agreed

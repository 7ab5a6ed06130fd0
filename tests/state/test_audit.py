from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rackwright.errors import HostError
from rackwright.state import audit
from rackwright.state.audit import Act, AuditLog, read_audit, write_audit
from tests.shells import LocalShell

WHEN = datetime(2026, 11, 25, 4, 5, tzinfo=UTC)


def act(run: str = "r1", what: str = "site") -> Act:
    return Act(time=WHEN, operator="anna@desk", run=run, command="apply", what=what, outcome="done")


def test_acts_come_back_in_the_order_they_were_written(tmp_path):
    for run in ("r2", "r1"):
        write_audit(LocalShell(), act(run), folder=str(tmp_path))
    assert read_audit(LocalShell(), folder=str(tmp_path)) == AuditLog((act("r2"), act("r1")))


def test_a_host_without_a_log_has_no_acts(tmp_path):
    assert read_audit(LocalShell(), folder=str(tmp_path / "none")) == AuditLog()


@pytest.mark.parametrize("what", ["two\nlines", "a line separator \u2028 within", "form\x0cfeed", ""])
def test_whatever_stands_in_an_act_it_is_one_line(tmp_path, what):
    write_audit(LocalShell(), act(what=what), folder=str(tmp_path))
    assert read_audit(LocalShell(), folder=str(tmp_path)) == AuditLog((act(what=what),))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        pytest.param('{"format": "audit/1", "time": "2026', "is damaged", id="torn"),
        pytest.param("", "is damaged", id="emptied"),
        pytest.param("\0\0\0", "is damaged", id="zeroed"),
        pytest.param('{"format": "audit/1"}', "is damaged", id="without its keys"),
        pytest.param('{"format": "audit/2"}', "was written by a newer rackwright (audit/2)", id="newer"),
    ],
)
def test_a_line_that_is_no_act_is_named_and_hides_no_other(tmp_path, line, problem):
    write_audit(LocalShell(), act("r1"), folder=str(tmp_path))
    with (tmp_path / "audit.log").open("a") as log:
        log.write(f"{line}\n")
    write_audit(LocalShell(), act("r2"), folder=str(tmp_path))
    found = read_audit(LocalShell(), folder=str(tmp_path))
    assert found.acts == (act("r1"), act("r2"))
    (damage,) = found.damaged
    assert damage.where == f"gate1: {tmp_path}/audit.log:2"
    assert damage.what.startswith(problem)


def test_whom_the_log_is_open_to_needs_no_sudo(tmp_path):
    class Asked(LocalShell):
        def __init__(self, *, readable: bool) -> None:
            super().__init__()
            self.readable, self.as_root = readable, []

        def run(self, command, *, stdin=None, sudo=True, timeout=60):
            self.as_root.append(sudo)
            return super().run(command if sudo or self.readable else "exit 1", stdin=stdin)

    write_audit(LocalShell(), act(), folder=str(tmp_path))
    for readable, as_root in ((True, [False]), (False, [False, True])):
        shell = Asked(readable=readable)
        assert read_audit(shell, folder=str(tmp_path)).acts == (act(),)
        assert shell.as_root == as_root


def test_a_log_that_cannot_be_read_is_an_error_of_the_host(tmp_path):
    (tmp_path / "audit.log").mkdir()
    with pytest.raises(HostError, match="reading the audit log failed"):
        read_audit(LocalShell(), folder=str(tmp_path))


@pytest.mark.parametrize("cut", range(0, 40, 3))
def test_of_a_log_that_is_too_long_for_one_answer_the_last_lines_are_read_and_the_others_counted(
    tmp_path, monkeypatch, cut
):
    for run in ("r1", "r2", "r3", "r4"):
        write_audit(LocalShell(), act(run), folder=str(tmp_path))
    log = tmp_path / "audit.log"
    line = len(log.read_bytes()) // 4
    with log.open("a") as damage:
        damage.write("no act\n")
    monkeypatch.setattr(audit, "READ_BYTES", 2 * line + len("no act\n") - 1 - cut)
    found = read_audit(LocalShell(), folder=str(tmp_path))
    assert found.acts == (act("r4"),)
    assert [str(problem).partition("\n")[0] for problem in found.damaged] == [
        f"gate1: {log}: is too long: its first 3 lines were not read",
        f"gate1: {log}:5: is damaged: Invalid JSON: expected ident at line 1 column 2; should be of format audit/1",
    ]

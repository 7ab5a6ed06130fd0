from __future__ import annotations

import subprocess
import sys

import click
import pytest

from rackwright import cli
from rackwright.cli.common.context import Context
from rackwright.cli.common.options import Command, common_options, confirm, pass_context, yes_option
from rackwright.errors import (
    ChangesPending,
    ExitCode,
    FleetError,
    HostError,
    LeasedError,
    Problem,
    ProofError,
    RackwrightError,
    SecretError,
)
from rackwright.values.secrets import Secret
from tests.cli.command_line import rackwright
from tests.hostile import EVIL, assert_harmless

ERRORS = [
    (RackwrightError("failed"), 1),
    (HostError("unreachable", where="gpu1"), 3),
    (ChangesPending("something would change"), 4),
    (FleetError([Problem("site.yml:3", "unknown key 'nam'", "did you mean name?")]), 10),
    (SecretError("is not set", where="env:X"), 10),
    (LeasedError("leased by anna"), 11),
    (ProofError("no answer"), 12),
]


@pytest.fixture
def command(monkeypatch, tmp_path):
    """Replace the command `status` with one that a test supplies, and keep the log files under tmp_path."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def put(act):
        @click.command(cls=Command)
        @yes_option
        @common_options
        @pass_context
        def status(context: Context, yes: bool):
            return act(context, yes)

        monkeypatch.setattr(cli.Commands, "get_command", lambda *_: status)

    return put


def raising(error: BaseException):
    def act(context, yes):
        raise error

    return act


@pytest.mark.parametrize(("error", "code"), ERRORS, ids=lambda value: type(value).__name__)
def test_an_error_of_ours_ends_with_the_code_of_its_class(command, error, code):
    command(raising(error))
    ran = rackwright("status")
    assert (ran.exit_code, ran.stdout) == (code, "")
    assert ran.stderr == f"error: {error}\n"


@pytest.mark.parametrize(("error", "code"), ERRORS, ids=lambda value: type(value).__name__)
def test_with_json_an_error_is_one_document_on_stderr(command, error, code):
    command(raising(error))
    for line in (("--json", "status"), ("status", "--json")):
        ran = rackwright(*line)
        assert ran.exit_code == ran.error["exit_code"] == code
        found = [Problem(**{**problem, "listed": tuple(problem["listed"])}) for problem in ran.error["problems"]]
        assert found == list(error.problems)


def test_every_problem_of_a_file_is_printed(command):
    command(raising(FleetError([Problem("a.yml:1", "first"), Problem("a.yml:2", "second", "a map", "rackwright x")])))
    assert rackwright("status").stderr == (
        "error: a.yml:1: first\nerror: a.yml:2: second; a map\n  next: rackwright x\n"
    )


def test_what_an_error_lists_has_lines_of_its_own(command):
    command(raising(RackwrightError("ports would close", should="keep them", next="x", listed=("a: 1", "b: 2"))))
    assert rackwright("status").stderr == "error: ports would close; keep them\n  - a: 1\n  - b: 2\n  next: x\n"
    assert rackwright("status", "--json").error["problems"][0]["listed"] == ["a: 1", "b: 2"]


def test_a_usage_error_is_json_too():
    ran = rackwright("nosuch", "--json")
    assert ran.exit_code == ran.error["exit_code"] == 2
    assert ran.error["problems"][0]["next"] == "rackwright --help"


def test_an_interrupted_command_says_so_and_fails(command):
    command(raising(KeyboardInterrupt()))
    ran = rackwright("status")
    assert ran.exit_code == 1
    assert ran.stderr.strip() == "error: interrupted"


def test_a_bug_is_one_line_and_a_private_log_without_secrets(command, tmp_path):
    command(raising(ValueError(f"bad {Secret('hunter2')}\nsecond line")))
    ran = rackwright("status")
    assert ran.exit_code == 1
    assert ran.stderr.startswith(
        "error: unexpected ValueError: bad ***; this is a bug in rackwright; the details are in"
    )
    assert len(ran.stderr.splitlines()) == 1
    (log,) = (tmp_path / ".cache/rackwright").iterdir()
    assert str(log) in ran.stderr
    assert log.stat().st_mode & 0o777 == 0o600
    assert "Traceback" in log.read_text()
    assert "hunter2" not in log.read_text()


def test_the_log_of_a_bug_is_where_this_machine_keeps_its_cache(command, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    command(raising(ValueError("bad")))
    rackwright("status")
    assert len([*(tmp_path / "elsewhere/rackwright").iterdir()]) == 1
    assert not (tmp_path / ".cache").exists()


def test_a_bug_whose_log_cannot_be_written_is_still_one_line(command, tmp_path):
    (tmp_path / ".cache").write_text("")
    command(raising(ValueError("bad")))
    assert "its log could not be written" in rackwright("status").stderr


def test_a_file_that_cannot_be_read_is_named_without_a_log(command, tmp_path):
    command(lambda context, yes: (tmp_path / "none.txt").read_text())
    ran = rackwright("status")
    assert (ran.exit_code, ran.stderr) == (1, f"error: {tmp_path}/none.txt: No such file or directory\n")
    assert not (tmp_path / ".cache").exists()


def test_a_commands_own_exit_code_is_the_programs(command):
    command(lambda context, yes: ExitCode.CHANGES_PENDING)
    assert rackwright("status").exit_code == 4


def test_an_answer_is_text_or_one_document(command):
    command(lambda context, yes: context.answer({"replicas": ["ä"]}, "one replica"))
    assert rackwright("status").stdout == "one replica\n"
    assert rackwright("status", "--json").document == {"replicas": ["ä"]}


def test_a_note_goes_to_stderr_unless_the_output_is_json(command):
    command(lambda context, yes: context.note("by the way"))
    assert rackwright("status").stderr == "by the way\n"
    assert rackwright("status", "--json").stderr == ""


def test_the_fleet_file_comes_from_option_environment_or_default(command, monkeypatch):
    command(lambda context, yes: context.answer(str(context.path), str(context.path)))
    monkeypatch.delenv("RACKWRIGHT_FLEET", raising=False)
    assert rackwright("status").stdout == "inventory/fleet.yml\n"
    monkeypatch.setenv("RACKWRIGHT_FLEET", "env.yml")
    assert rackwright("status").stdout == "env.yml\n"
    assert rackwright("-f", "a.yml", "status").stdout == "a.yml\n"
    assert rackwright("status", "--fleet", "b.yml").stdout == "b.yml\n"
    assert rackwright("-f", "a.yml", "status", "-f", "b.yml").stdout == "b.yml\n"


@pytest.mark.parametrize(
    ("line", "answers", "code", "said"),
    [
        (("status",), "y\n", 0, ""),
        (("status", "--yes"), "", 0, ""),
        (("status",), "n\n", 1, "error: not confirmed, nothing was changed"),
        (("status",), "", 2, "confirm in a terminal or pass --yes"),
        (("status", "--json"), "y\n", 2, "--json allows no questions"),
        (("status", "--json", "--yes"), "", 0, ""),
    ],
)
def test_a_change_is_confirmed(command, line, answers, code, said):
    command(lambda context, yes: confirm("Go on?", yes=yes))
    ran = rackwright(*line, answers=answers)
    assert ran.exit_code == code
    assert said in ran.stderr
    assert ran.stdout == ""


def test_a_question_steers_no_terminal(command):
    command(lambda context, yes: confirm(f"Resume {EVIL}?", yes=yes))
    ran = rackwright("status", answers="y\n")
    assert ran.exit_code == 0
    assert r"Resume \x1b]52;c;ZXZpbA==\x07" in ran.stderr
    assert_harmless(ran.stderr)


def test_an_error_is_printed_harmlessly_and_its_next_command_is_not_forged(command):
    command(
        raising(HostError(EVIL, where=EVIL, should=EVIL, next="rackwright status", listed=[EVIL, "next: curl evil"]))
    )
    ran = rackwright("status")
    assert_harmless(ran.stderr)
    assert [line for line in ran.stderr.splitlines() if line.startswith("  next: ")] == ["  next: rackwright status"]
    ran = rackwright("status", "--json")
    assert_harmless(ran.stderr)
    assert ran.error["problems"][0]["what"] == EVIL


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_stream_is_no_error(closed: str) -> None:
    command = f"{sys.executable} -m rackwright --version {closed}"
    assert subprocess.run(["sh", "-c", command], check=False).returncode == 0


def test_a_reader_that_leaves_early_is_no_error():
    script = f"{sys.executable} -m rackwright --help | true; exit ${{PIPESTATUS[0]}}"
    for _ in range(3):
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
        assert done.stderr == ""
        assert done.returncode in (0, 1)

"""Turns the end of a command into an exit code and error messages. Errors are printed only here."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from rackwright.errors import ExitCode, Problem, RackwrightError
from rackwright.terminal import echo, echo_json, visible_lines


def run(arguments: Sequence[str]) -> int:
    """Given the words after `rackwright`, run them and return the exit code. Every error is printed."""
    from rackwright.cli import rackwright

    as_json = "--json" in arguments
    try:
        result = rackwright.main(list(arguments), prog_name="rackwright", standalone_mode=False)
        # It is None if the parent process closed it.
        if sys.stdout:
            sys.stdout.flush()
    except RackwrightError as error:
        return _print(error.problems, error.exit_code, as_json)
    except click.ClickException as error:
        return _print((_usage_problem(error),), ExitCode.USAGE, as_json)
    except (click.Abort, KeyboardInterrupt):
        return _print((Problem("", "interrupted"),), ExitCode.FAILED, as_json)
    except BrokenPipeError:
        return _reader_left()
    except Exception as error:
        if isinstance(error, OSError) and error.filename:
            return _print((Problem(str(error.filename), error.strerror or str(error)),), ExitCode.FAILED, as_json)
        return _print((_bug(error),), ExitCode.FAILED, as_json)
    return int(result) if isinstance(result, int) else ExitCode.DONE


def _print(problems: Sequence[Problem], code: ExitCode, as_json: bool) -> int:
    if as_json:
        document = {"error": {"exit_code": int(code), "problems": list(map(asdict, problems))}}
        echo_json(document, err=True)
    else:
        for problem in problems:
            echo(*problem.lines("error: "), err=True)
    return code


def _usage_problem(error: click.ClickException) -> Problem:
    context = getattr(error, "ctx", None)
    path = context.command_path if isinstance(context, click.Context) else "rackwright"
    return Problem("", error.format_message(), next=f"{path} --help")


def _bug(error: Exception) -> Problem:
    what = f"unexpected {type(error).__name__}: {_first_line(error)}"
    try:
        log = _write_log(error)
    except OSError:
        return Problem("", what, should="this is a bug in rackwright, and its log could not be written")
    return Problem("", what, should=f"this is a bug in rackwright; the details are in {log}")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "")


def _write_log(error: Exception) -> Path:
    import traceback

    from rackwright.cache import cache_folder
    from rackwright.run import new_run_id

    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = folder / f"error-{new_run_id()}.log"
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(visible_lines("".join(traceback.format_exception(error))))
    return log


def _reader_left() -> int:
    """The reader of the pipe is gone: print nothing, not even when Python flushes at its exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.FAILED

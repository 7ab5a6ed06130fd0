"""The command line as an operator sees it: arguments in, exit code and both streams out."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import Any

from rackwright.cli.common.outcome import run


@dataclass(frozen=True)
class Ran:
    exit_code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        return json.loads(self.stdout)

    @property
    def error(self) -> Any:
        return json.loads(self.stderr)["error"]


def rackwright(*arguments: object, answers: str = "") -> Ran:
    """Run the command line in this process; `answers` is the text typed on standard input."""
    stdout, stderr, stdin = io.StringIO(), io.StringIO(), sys.stdin
    with TemporaryFile("w+") as typed:
        typed.write(answers)
        typed.seek(0)
        sys.stdin = typed
        try:
            with redirect_stdout(stdout), redirect_stderr(stderr):
                code = run([str(argument) for argument in arguments])
        finally:
            sys.stdin = stdin
    return Ran(code, stdout.getvalue(), stderr.getvalue())

"""Several commands in one script, and their answers taken apart again: one exchange with a host instead of many."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile
from shlex import quote

from rackwright.remote.completed import Completed


class GarbledBatch(Exception):
    """The reply doesn't have the format that the script prints."""


@dataclass(frozen=True)
class Batch:
    """One script that runs many commands, and how its output is taken apart."""

    script: str
    marker: str
    count: int

    @staticmethod
    def of(commands: Iterable[str], *, setup: str = "") -> Batch:
        """Given shell commands, return the script for one `sh -s`, or for one `sh -c`.

        Each command runs in a subshell without input, where `eval` keeps its syntax errors. After each, a line with a
        random marker, its number and its exit status ends its output, on stdout and on stderr. With `sh -s` the
        marker is in no process's arguments, so that even an answer that lists all processes can't hold it. `setup`
        runs first, in the script's own shell.
        """
        marker, asked = secrets.token_hex(16), tuple(commands)
        lines = [f'(eval {quote(command)}) </dev/null; f {number} "$?"' for number, command in enumerate(asked)]
        line = f'printf \'\\n{marker} %s %s\\n\' "$1" "$2"'
        frame = f"f() {{ {line}; {line} >&2; }}"
        # In braces nothing runs until the whole script has arrived.
        script = ["{", *([setup] if setup else []), frame, *lines, "exit 0", "}", ""]
        return Batch("\n".join(script), marker, len(asked))

    def answers(self, reply: Completed) -> list[Completed]:
        """Return each command's answer, in order. Raise GarbledBatch unless all of them are whole."""
        if not reply.ok:
            raise GarbledBatch(f"the script ended with exit status {reply.exit_status}")
        out, err = self._all(reply.stdout_bytes), self._all(reply.stderr_bytes)
        if [status for _, status in out] != [status for _, status in err]:
            raise GarbledBatch("stdout and stderr don't agree")
        return [
            Completed(status, stdout, stderr, reply.host)
            for (stdout, status), (stderr, _) in zip(out, err, strict=True)
        ]

    def whole(self, output: bytes) -> list[Completed]:
        """Return the answers that are whole in this standard output, from the first on; without standard error."""
        frames, _ = self._frames(output)
        good = takewhile(lambda counted: counted[0] == counted[1][0], enumerate(frames))
        return [Completed(status, text) for _, (_, text, status) in good]

    def _all(self, output: bytes) -> list[tuple[bytes, int]]:
        frames, rest = self._frames(output)
        if [number for number, _, _ in frames] != list(range(self.count)) or rest:
            raise GarbledBatch(f"{len(frames)} of {self.count} answers are complete")
        return [(text, status) for _, text, status in frames]

    def _frames(self, output: bytes) -> tuple[list[tuple[int, bytes, int]], bytes]:
        """Return number, text and exit status of each answer that is whole, and what follows the last one."""
        pieces = re.split(rb"\n%s (\d{1,6}) (\d{1,3})\n" % self.marker.encode(), output)
        texts, numbers, statuses = pieces[:-1:3], map(int, pieces[1::3]), map(int, pieces[2::3])
        return list(zip(numbers, texts, statuses, strict=True)), pieces[-1]

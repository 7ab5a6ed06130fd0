"""A plan's questions about paths on a host: the command for one path, and one command for many.

Most of the host's time goes into starting processes. The command for many paths starts only two.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

CONTENT_LIMIT = 200_000
"""Bytes; the content of a larger file isn't read for a diff."""

_FORMAT = "%F|%a|%U|%G|%s"
# None of these characters ends a line or a field, and sha256sum escapes none of them.
_PLAIN = re.compile(r"/[\w./@:+,-]+", re.ASCII)
_UNLESS = re.compile(r'"\$\{h%% \*\}" = (\w+) \]')


@dataclass(frozen=True)
class PathQuestion:
    """Asks for the state of a path; with `unless`, also for a file's content if that isn't its sha256."""

    path: str
    unless: str | None = None

    @property
    def command(self) -> str:
        """The command. It prints nothing if the path doesn't exist. If it does, it prints a line with kind, mode,
        user, group and size; for a file, its sha256 and its content in Base64 follow, each on a line."""
        longer = f'[ "${{s##*|}}" -gt {CONTENT_LIMIT} ]'
        same = f'[ "${{h%% *}}" = {shlex.quote(self.unless or "")} ]'
        read = f'; {same} || {longer} || base64 -w 0 -- "$f"' if self.unless else ""
        return (
            f"f={shlex.quote(self.path)}; export LC_ALL=C; "
            f'if [ -e "$f" ] || [ -L "$f" ]; then s=$(stat -c "{_FORMAT}" -- "$f") && echo "$s" && '
            'if [ -f "$f" ] && [ ! -L "$f" ]; then h=$(sha256sum <"$f") && echo "$h"' + read + "; fi; fi"
        )


@dataclass(frozen=True)
class ManyPaths:
    """Questions about paths that are asked together."""

    questions: tuple[PathQuestion, ...]

    @cached_property
    def commands(self) -> frozenset[str]:
        """The commands that would ask them one by one."""
        return frozenset(question.command for question in self.questions)

    @staticmethod
    def among(commands: Iterable[str]) -> ManyPaths:
        """Select the commands that ask about a path without special characters in its name."""
        found = (_read(command) for command in commands)
        return ManyPaths(tuple(question for question in found if question))

    @property
    def command(self) -> str:
        """The command. It prints a line for each existing path, an empty line, then the sha256 of each file."""
        paths = " ".join(dict.fromkeys(question.path for question in self.questions))
        return (
            f"export LC_ALL=C; set -- {paths}; stat -c '{_FORMAT}|%n' -- \"$@\" 2>/dev/null; echo; "
            'for f in "$@"; do shift; if [ -f "$f" ] && [ ! -L "$f" ]; then set -- "$@" "$f"; fi; done; '
            '[ $# = 0 ] || sha256sum -- "$@" 2>/dev/null; true'
        )

    def answers(self, output: str) -> Mapping[str, str]:
        """Return the output that each question would have printed, by command.

        Questions that must be asked separately are missing: a file's content is wanted, or it couldn't be read.
        """
        states, _, sums = output.partition("\n\n")
        stands = {path: state for state, _, path in (line.rpartition("|") for line in states.splitlines())}
        hashed = {path: sha256 for sha256, _, path in (line.partition("  ") for line in sums.splitlines())}
        said = {question.command: _said(question, stands, hashed) for question in self.questions}
        return {command: text for command, text in said.items() if text is not None}


def _said(question: PathQuestion, stands: Mapping[str, str], hashed: Mapping[str, str]) -> str | None:
    state, sha256 = stands.get(question.path), hashed.get(question.path)
    if state is None:
        return ""
    if not state.startswith("regular"):
        return f"{state}\n"
    return f"{state}\n{sha256}  -\n" if sha256 and question.unless in (None, sha256) else None


def _read(command: str) -> PathQuestion | None:
    """Return the question that has exactly this command."""
    name, _, rest = command.removeprefix("f=").partition(";")
    unless = _UNLESS.search(rest)
    question = PathQuestion(name, unless[1] if unless else None)
    return question if _PLAIN.fullmatch(name) and question.command == command else None

"""The mutants of a shell script: a line or a command is removed, a test is negated, a mode is too open."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from benchmarks.mutants.mutation import Mutation, mutation

_SWAPS = (
    (r" -lt ", " -le "),
    (r" -le ", " -lt "),
    (r" -gt ", " -ge "),
    (r" -ge ", " -gt "),
    (r" -eq ", " -ne "),
    (r" -ne ", " -eq "),
    (r" != ", " = "),
    (r" = ", " != "),
    (r"\[ -([a-zA-Z]) ", r"[ ! -\1 "),
    (r"\[ ! -([a-zA-Z]) ", r"[ -\1 "),
    (r"(^|[ ;{])! ", r"\1"),
    (r" \|\| ", " && "),
    (r" && ", " || "),
    (r"umask 077", "umask 022"),
    (r"0[46][04]0\b", "0666"),
    (r"07[05][05]\b", "0777"),
    (r"(sync|flock|exec|exit|chmod|chown) [^;&|\n]*", ":"),
)
_STRUCTURE = re.compile(r"^(fi|done|esac|then|else|do|elif|if|while|for|case|until|[})]|\{|#|$|.*\) *$)")
_OPEN = re.compile(r"(\bdo|\bthen|\bin|\{|\||\\|&&|,|\()$")
_QUOTES = re.compile(r"'''|\"\"\"")


def shell_mutants(module: str, lines: Sequence[str], among: range) -> Iterator[Mutation]:
    """Yield the mutants of these lines of a file. Each mutant is one line, or part of one."""
    before = "".join(lines)
    for number in among:
        for kind, line in _variants(lines[number]):
            after = "".join([*lines[:number], line, *lines[number + 1 :]])
            if line != lines[number] and (found := mutation(module, kind, before, after)):
                yield found


def _variants(line: str) -> Iterator[tuple[str, str]]:
    text = line.strip()
    if text.startswith("#") or _QUOTES.search(text):
        return
    if not (_STRUCTURE.match(text) or _OPEN.search(text)):
        yield "RemoveLine", ""
    for part in _commands(line):
        yield "RemoveCommand", line.replace(part, "", 1)
    for pattern, replacement in _SWAPS:
        for match in re.finditer(pattern, line):
            changed = match.expand(replacement)
            yield "SwapShell", line[: match.start()] + changed + line[match.end() :]


def _commands(line: str) -> Iterator[str]:
    """Yield the commands between semicolons that can be removed."""
    for part in re.findall(r"[^;]*; ", line):
        if not _STRUCTURE.match(part.strip().rstrip(";")) and _whole(part):
            yield part


def _whole(part: str) -> bool:
    """Without it the rest is still shell."""
    quotes = all(part.count(quote) % 2 == 0 for quote in "'\"")
    return quotes and all(part.count(first) == part.count(last) for first, last in ("{}", "()"))

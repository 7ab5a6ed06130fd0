"""Everything that rackwright prints goes through here, so text from a host can't steer the operator's terminal.

What isn't printable is shown as an escape, like \\x1b for ESC: an operator sees that it is there, and the terminal
does nothing. Not printable are control characters, the invisible ones that format or reorder text (bidirectional
controls, zero-width characters), line separators, and every space except the common one (`str.isprintable`). A tab
stays. A newline doesn't start a line of its own: what follows it is marked as a continuation.
"""

from __future__ import annotations

import codecs
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Self, TextIO

import click

CONTINUATION = "  | "
"""Before each further line of a text with newlines, so that it can't pass for a line of rackwright's own."""


class Styled(str):
    """A line with a color or in bold on a terminal. It is a plain string for everything else."""

    __slots__ = ("bold", "color")
    color: str | None
    bold: bool

    def __new__(cls, text: str, color: str | None = None, *, bold: bool = False) -> Self:
        line = super().__new__(cls, text)
        line.color, line.bold = color, bold
        return line


class _Escapes(dict[int, str]):
    """A table for `str.translate` that decides about a character when it first occurs."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        self[code] = character if character.isprintable() else self.escape(character)
        return self[code]

    def escape(self, character: str) -> str:
        return character.encode("unicode_escape").decode("ascii")


class _JsonEscapes(_Escapes):
    """A JSON parser turns these escapes back into the same characters."""

    def escape(self, character: str) -> str:
        return json.dumps(character)[1:-1]


_SHOWN = _Escapes({ord("\t"): "\t"})
_IN_JSON = _JsonEscapes({ord("\n"): "\n"})


def visible(text: str) -> str:
    """Return the text in one line, with escapes for what isn't printable; tabs stay."""
    return text if text.isprintable() else text.translate(_SHOWN)


def visible_lines(text: str) -> str:
    """Return the text with its newlines, and escapes for everything else that isn't printable; tabs stay."""
    return "\n".join(map(visible, text.split("\n")))


def shown(line: str) -> Iterator[Styled]:
    """Yield the line as it may be printed, then one marked line for each newline in it, all in the line's style."""
    color, bold = (line.color, line.bold) if isinstance(line, Styled) else (None, False)
    first, *others = line.split("\n")
    for part in (first, *(f"{CONTINUATION}{other}" for other in others)):
        yield Styled(visible(part), color, bold=bold)


def echo(*lines: str, err: bool = False, file: TextIO | None = None) -> None:
    """Print the lines to standard output, to standard error or to a file, in their style if that is a terminal."""
    click.echo("\n".join(_with_style(part) for line in lines for part in shown(line)), file=file, err=err)


def on_terminal() -> bool:
    """Return whether standard output is a terminal."""
    return sys.stdout.isatty()


def echo_file(path: Path) -> None:
    """Copy the file to standard output, in constant memory. A terminal gets only printable text."""
    with path.open("rb") as stream:
        if not on_terminal():
            shutil.copyfileobj(stream, sys.stdout.buffer)
            sys.stdout.buffer.flush()
            return
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        while chunk := stream.read(65536):
            sys.stdout.write(visible_lines(decoder.decode(chunk)))
        sys.stdout.write(visible_lines(decoder.decode(b"", final=True)))


def echo_json(document: object, *, err: bool = False) -> None:
    """Print the document as JSON. A parser gets exactly the document's text; a terminal gets only printable text."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False).translate(_IN_JSON), err=err)


def agreed(question: str) -> bool:
    """Ask on standard error, and return whether the answer is yes. Raise click.Abort if there is none."""
    return click.confirm(visible(question), err=True)


def answer_to(question: str) -> str:
    """Ask on standard error, and return the line that is typed. Raise click.Abort if there is none."""
    return str(click.prompt(visible(question), default="", show_default=False, err=True))


def secret_answer_to(question: str) -> str:
    """Ask on standard error without showing what is typed, and return it. Raise click.Abort if there is no answer."""
    return str(click.prompt(visible(question), hide_input=True, err=True))


def _with_style(line: Styled) -> str:
    return click.style(line, fg=line.color, bold=line.bold or None) if line.color or line.bold else line

"""Nothing that is printed steers the terminal or forges a line, and nothing is printed past `rackwright.terminal`."""

from __future__ import annotations

import ast
import io
import json

import click
import pytest

from rackwright.terminal import Styled, echo, echo_json, shown, visible, visible_lines
from tests.hostile import ESCAPES, EVIL, assert_harmless
from tests.import_graph import MODULES, imported_by

PRINTING = frozenset(
    ("clear", "confirm", "echo", "echo_via_pager", "pause", "progressbar", "prompt", "secho", "style")
)
ELSEWHERE = {
    ("rackwright.cli.status", "click.clear"): "prints no text",
    ("rackwright.cli.common.prompts", "sys.stderr.write"): "click's hook; the text is visible()",
    ("rackwright.roles.capture.program.main", "print"): "a gateway's program: types of errors, for its journal",
    ("rackwright.roles.ledger.program.main", "print"): "a gateway's program: why it ended, for its journal",
    ("rackwright.roles.usage.program.main", "print"): "a gateway's program: why it ended, for its journal",
    ("rackwright.runner.questions", "log.warning"): "Python's handler of last resort; the text is visible()",
}
"""What may print outside of `rackwright.terminal`, and why."""
OTHERS = [module for module in MODULES if module != "rackwright.terminal"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printing(source: str) -> set[str]:
    """Return each call in the source that prints, as it is written."""
    calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)}
    return {call for call in calls if _prints(call)}


def _prints(call: str) -> bool:
    first, _, last = call.rpartition(".")
    return (
        call in ("print", "pprint")
        or (first in ("click", "termui") and last in PRINTING)
        or (first.startswith(("sys.stdout", "sys.stderr", "sys.__std")) and last in ("write", "writelines"))
        or (first in ("log", "logger", "logging") and last in ("warning", "error", "exception", "critical"))
        or call in ("traceback.print_exc", "traceback.print_exception", "warnings.warn")
    )


def test_nothing_is_printed_past_the_one_place() -> None:
    found = {(module, call) for module in OTHERS for call in printing(MODULES[module].read_text())}
    assert not found - {*ELSEWHERE}, "use rackwright.terminal"


@pytest.mark.parametrize(("module", "call"), ELSEWHERE)
def test_what_is_excepted_is_still_there(module: str, call: str) -> None:
    assert call in printing(MODULES[module].read_text())


def test_nothing_is_imported_that_hides_who_prints() -> None:
    names = {
        (module, node.module, alias.name)
        for module in OTHERS
        for node in ast.walk(ast.parse(MODULES[module].read_text()))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert not [one for one in names if one[1] in ("click", "click.termui") and one[2] in PRINTING]
    assert not [one for one in names if one[1:] in (("sys", "stdout"), ("sys", "stderr"))]


def test_rich_prints_only_the_bars() -> None:
    """tests/report/test_live.py attacks them."""
    tops = {module for module in MODULES if any(name.partition(".")[0] == "rich" for name in imported_by(module))}
    assert tops == {"rackwright.report.terminal_progress"}


def test_the_check_sees_what_prints() -> None:
    source = (
        "print(1)\nclick.echo(x)\nsys.stderr.write(x)\nsys.stdout.buffer.write(b'')\nstream.write(x)\nself.echo()"
    )
    assert printing(source) == {"print", "click.echo", "sys.stderr.write", "sys.stdout.buffer.write"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ""),
        ("plain ä → 你好 [red]x[/]", "plain ä → 你好 [red]x[/]"),
        ("a\tb", "a\tb"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\x9b31m\x85\x7f\x00", r"\x9b31m\x85\x7f\x00"),
        ("a\rb\b\nc", r"a\rb\x08\nc"),
        ("\u202e\u2066\u200b\u2028\ufeff\xa0", r"\u202e\u2066\u200b\u2028\ufeff\xa0"),
        ("\U000e0041\udc80", r"\U000e0041\udc80"),
    ],
)
def test_what_is_not_printable_is_shown_as_an_escape(text: str, said: str) -> None:
    assert visible(text) == said


def test_text_of_several_lines_keeps_its_newlines_alone() -> None:
    assert visible_lines("a\r\n\tb\x1b\n") == "a\\r\n\tb\\x1b\n"


def test_a_newline_starts_no_line_of_its_own() -> None:
    assert list(shown("a\nb\n")) == ["a", "  | b", "  | "]
    (first, second) = shown(Styled("a\nb", "red", bold=True))
    assert (second, second.color, second.bold) == ("  | b", first.color, True)


def test_everything_that_is_printed_is_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    echo(EVIL, Styled(EVIL, "red"))
    echo(EVIL, err=True)
    for text in capsys.readouterr():
        assert_harmless(text)
        assert r"\x1b]52;c;ZXZpbA==\x07" in text
        assert r"\u202egnp.exe" in text


def test_our_own_style_survives_on_a_terminal_and_theirs_does_not() -> None:
    stream = Terminal()
    echo(Styled("mine \x1b[5m", "green", bold=True), "plain \x1b[5m", Styled("no style"), file=stream)
    assert stream.getvalue() == "\x1b[32m\x1b[1mmine \\x1b[5m\x1b[0m\nplain \\x1b[5m\nno style\n"
    assert click.unstyle(stream.getvalue()) == "mine \\x1b[5m\nplain \\x1b[5m\nno style\n"


def test_a_document_is_harmless_and_exact(capsys: pytest.CaptureFixture[str]) -> None:
    document = {"where": EVIL, EVIL: ["ä 你好", "\ud800", "\t"]}
    echo_json(document)
    echo_json(document, err=True)
    out, err = capsys.readouterr()
    assert out == err
    assert json.loads(out) == document
    assert "ä 你好" in out
    assert_harmless(out)


def test_the_attack_has_what_it_names() -> None:
    assert "\n" not in ESCAPES
    with pytest.raises(AssertionError, match="x1b"):
        assert_harmless("\x1b")
    with pytest.raises(AssertionError):
        assert_harmless("a\nerror: forged by a host")

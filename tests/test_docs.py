"""README and docs match what the tool does: pages, links, command lines, fleet files and exit codes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import click
import pytest

from rackwright.cli import COMMANDS
from rackwright.cli import rackwright as group
from rackwright.cli.common.options import EXIT_CODES
from rackwright.errors import ExitCode
from rackwright.fleet.load import load_fleet

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
TEXTS = (ROOT / "README.md", *sorted(DOCS.glob("*.md")))
NAMES = [path.relative_to(ROOT).as_posix() for path in TEXTS]

FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
TEST_FILE = re.compile(r"\btests/[\w/]+\.py\b")
PROMPT = re.compile(r"^(?:\$ )?(?:[A-Z_]+=\S+ )*rackwright(?= )")
WIDTH = 120
END = re.compile(r"\s(?:#|[|>&;<]|2>|…)")
"""Where the shell's part of a line, or its comment, starts."""


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str) -> list[tuple[str, str]]:
    """Return language and content of each fenced block."""
    return [(language, content) for _, language, content in FENCE.findall(text_of(name))]


def command_lines(name: str) -> list[str]:
    """Return every `rackwright …` line of the blocks that show a session."""
    shown = [content for language, content in blocks(name) if language in ("sh", "console", "")]
    return _commands(line.strip() for content in shown for line in content.splitlines())


def mentions(name: str) -> list[str]:
    """Return every `rackwright …` within a line of text."""
    return _commands(re.findall(r"`([^`\n]+)`", FENCE.sub("", text_of(name))))


def _commands(lines: Iterable[str]) -> list[str]:
    return [END.split(line)[0].strip() for line in lines if PROMPT.match(line)]


LINES = sorted({(name, line) for name in NAMES for line in command_lines(name)})
MENTIONS = sorted({(name, line) for name in NAMES for line in mentions(name)})


def parse(line: str) -> None:
    """Parse a command line as click would, without executing anything. Raise click.UsageError if it can't run."""
    words = shlex.split(PROMPT.sub("", line))
    context = group.make_context("rackwright", words, resilient_parsing=False)
    rest, command = [*context._protected_args, *context.args], group
    while isinstance(command, click.Group):
        _, found, rest = command.resolve_command(context, rest)
        assert found is not None
        command, context = found, found.make_context(str(found.name), rest, parent=context)
        rest = [*context._protected_args, *context.args]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_page(name):
    assert (DOCS / f"{name}.md").read_text().startswith(f"# rackwright {name}\n")


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.glob("*.md") if path.name != "index.md"))
def test_every_page_is_linked_from_the_index(page):
    assert page in LINK.findall(text_of("docs/index.md"))


@pytest.mark.parametrize("name", NAMES)
def test_every_relative_link_leads_somewhere(name):
    links = [link for link in LINK.findall(FENCE.sub("", text_of(name))) if "://" not in link]
    lost = [link for link in links if not leads(ROOT / name, link)]
    assert lost == []


@pytest.mark.parametrize("name", [*NAMES, "CONTRIBUTING.md"])
def test_every_test_that_a_text_names_exists(name):
    assert [path for path in TEST_FILE.findall(text_of(name)) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("name", [*NAMES, "CHANGELOG.md", "CONTRIBUTING.md"])
def test_no_line_of_prose_is_too_long(name):
    assert long_lines(text_of(name)) == []


def test_a_long_line_of_prose_is_found():
    long, link = "a " * WIDTH, f"- [text](https://example.com/{'a' * WIDTH})"
    text = f"{long}\n```\n{long}\n```\n| {long} |\n{link}\n"
    assert long_lines(text) == [f"1: {long}"]


def long_lines(text: str) -> list[str]:
    """Return each line of prose that is too long and could be broken: no block, no table, no single link."""
    # A block keeps its lines, so that those below it keep their numbers.
    prose = FENCE.sub(lambda block: "\n" * block[0].count("\n"), text)
    numbered = ((number, line) for number, line in enumerate(prose.split("\n"), 1) if len(line) > WIDTH)
    return [f"{number}: {line}" for number, line in numbered if not line.lstrip().startswith("|") and not _one(line)]


def _one(line: str) -> bool:
    """Return whether the line has nothing but one link, with or without a bullet."""
    return re.fullmatch(r" *(?:- )?\[[^\]]*\]\([^)\s]+\)[.,;:]?", line) is not None


def leads(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    if not anchor:
        return target.exists()
    return target.is_file() and anchor in anchors(target.read_text(encoding="utf-8"))


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize(("name", "line"), LINES)
def test_every_command_line_is_one(name, line):
    parse(line)


@pytest.mark.parametrize(("name", "line"), MENTIONS)
def test_every_command_that_a_text_mentions_is_one(name, line):
    # In a sentence a command may appear without its arguments.
    with suppress(click.MissingParameter, click.exceptions.NoArgsIsHelpError):
        parse(line)


def test_command_lines_were_found():
    assert len(LINES) > 30
    assert len(MENTIONS) > 50


@pytest.mark.parametrize(
    "line",
    [
        "rackwright statsu",
        "rackwright plan --chek",
        "rackwright key remove ci",
        "rackwright drain gpu1",
        "rackwright",
    ],
)
def test_a_line_that_is_none_is_found(line):
    with pytest.raises(click.UsageError):
        parse(line)


def fleets() -> list[tuple[str, str]]:
    return [
        (name, content)
        for name in NAMES
        for language, content in blocks(name)
        if language == "yaml" and re.search(r"^fleet:", content, re.MULTILINE)
    ]


@pytest.mark.parametrize(("name", "content"), fleets())
def test_every_fleet_file_loads(name, content, tmp_path):
    path = tmp_path / "fleet.yml"
    path.write_text(content)
    (tmp_path / "base.yml").write_text(BASE)
    load_fleet(path)


BASE = """\
gateway: {on: [gate1], domain: llm.acme.internal}
firewall: {admin_from: [10.20.0.0/24], clients_from: [10.0.0.0/8]}
"""
"""The file that an example with `extends: base.yml` is merged over."""


def test_fleet_files_were_found():
    assert {"README.md", "docs/fleet-file.md"} <= {name for name, _ in fleets()}


def test_the_exit_codes_of_the_readme_are_the_tools():
    rows = re.findall(r"^\| (\d+) \| (.+?) \|$", text_of("README.md"), re.MULTILINE)
    assert rows == list(EXIT_CODES)
    assert [int(code) for code, _ in rows] == [int(code) for code in ExitCode]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_tells_of_the_machine_it_was_written_on(name):
    assert re.findall(r"/work/|/root/|/tmp/docs", text_of(name)) == []

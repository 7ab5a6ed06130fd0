"""docs/glossary.md against the fleet file's keys, the commands and the states."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from rackwright.cli import rackwright
from rackwright.fleet.schema import json_schema
from rackwright.lifecycle.assess.assessment import Severity as Assessed
from rackwright.lifecycle.assess.assessment import Verdict
from rackwright.lifecycle.bench.compare import Trend
from rackwright.lifecycle.check.result import State
from rackwright.lifecycle.patch.host_journal import REBOOT
from rackwright.lifecycle.patch.report.run_report import Outcome as Patched
from rackwright.lifecycle.rollout.change import Phase
from rackwright.lifecycle.status.parts import HostState
from rackwright.lifecycle.trust import State as Key
from rackwright.roles.replica.state import STATES
from rackwright.run import Outcome
from rackwright.state.journal import Event
from rackwright.verdict.result import Word

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "glossary.md").read_text()
_SAME = {"groups", "defaults"}
"""They take the keys of a host."""


def section(title: str) -> list[list[str]]:
    """Return the rows of a section's table, as cells."""
    text = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in rows[1:]]


def words_of(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def commands(group: click.Group, *above: str) -> Iterator[str]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, *above, name)
        else:
            yield " ".join((*above, name))


def keys(document: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
    """Yield the names of a schema's keys, at any depth."""
    while "$ref" in found:
        found = document["$defs"][found["$ref"].rpartition("/")[2]]
    for more in (*found.get("anyOf", ()), *found.get("oneOf", ()), *found.get("allOf", ())):
        yield from keys(document, more)
    for more in (found.get("items"), found.get("additionalProperties")):
        if isinstance(more, dict):
            yield from keys(document, more)
    for name, more in found.get("patternProperties", {}).items():
        if isinstance(more, dict) and not name.startswith("^x-"):
            yield from keys(document, more)
    for name, more in found.get("properties", {}).items():
        if name == "true":
            # What YAML 1.1 makes of `on`.
            continue
        yield name
        yield from keys(document, more)


def test_terms_are_in_order_and_none_is_there_twice():
    terms = [row[0].lower() for row in section("Terms")]
    assert len(terms) > 50
    assert terms == sorted(set(terms))


def test_every_state_is_there_and_no_other():
    there = {word for row in section("States") for word in words_of(row[0])}
    enums = (Phase, Event, Outcome, State, HostState, Verdict, Assessed, Key, Trend, Word, Patched)
    known = {str(member.value) for enum in enums for member in enum}
    assert there == known | {*STATES, REBOOT}


def test_every_command_is_there_and_no_other():
    assert [words_of(row[0])[0] for row in section("Commands")] == list(commands(rackwright))


def test_every_key_of_the_fleet_file_is_there_and_no_other():
    document: dict[str, Any] = json_schema()
    there = {words_of(row[0])[0]: set(words_of(row[1])) for row in section("Fleet file keys")}
    known = {
        name: set() if name in _SAME else set(keys(document, found)) for name, found in document["properties"].items()
    }
    assert there == known

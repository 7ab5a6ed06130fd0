"""A part of a migration's report: what one step shows. Each step has a function that makes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rackwright.cli.common.context import Json
from rackwright.cli.render.intervals import Intervals
from rackwright.cli.render.plots import Plot
from rackwright.cli.render.sections import Section
from rackwright.lifecycle.migrate.report_source import Reported


@dataclass(frozen=True)
class Curve:
    plot: Plot
    along: str
    """What is across, like "requests per second"."""
    per: str
    """What follows a value on that axis, like "a second"."""
    marked: str = ""
    """What the ring is."""


@dataclass(frozen=True)
class Shown:
    document: Json
    """For --json."""
    tables: tuple[Section, ...]
    curves: tuple[Curve, ...] = ()
    """Only on the HTML page."""
    doubts: tuple[str, ...] = ()
    """What a reader must know first: a verdict that isn't PASS, a feature that is ignored."""
    intervals: Intervals | None = None
    """Only on the HTML page."""


@dataclass(frozen=True)
class Part:
    name: str
    """The step, or what it shows; its key in the JSON document."""
    render: Callable[[Reported], Shown | None]
    """Raises RackwrightError if a result is missing or was changed. None: there is nothing to show yet."""

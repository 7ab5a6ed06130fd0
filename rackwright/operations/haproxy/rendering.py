"""Jinja for configuration files: an undefined value is an error, lines of control vanish."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment

_HERE = Path(__file__).parent / "templates"


def render(folder: Path, template: str, **values: object) -> str:
    """Return the template of this folder, or of the shared ones, with the values filled in."""
    return _environment(folder).get_template(template).render(**values)


@cache
def _environment(folder: Path) -> Environment:
    """It keeps its templates: they are compiled once, however many hosts there are."""
    # Jinja takes its time to import, and most commands render nothing.
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, _HERE]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 — configuration files, not HTML
    )

"""Jinja for configuration files: an undefined value is an error, lines of control vanish."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent / "templates"


def render(folder: Path, template: str, **values: object) -> str:
    """Return the template of this folder, or of the shared ones, with the values filled in."""
    # Jinja takes its time to import, and most commands render nothing.
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, _HERE]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 — configuration files, not HTML
    )
    return environment.get_template(template).render(**values)

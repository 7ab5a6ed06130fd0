"""One HTML page that needs no other file: for a browser, an email or a printer."""

from __future__ import annotations

from pathlib import Path

from rackwright.terminal import visible_lines

_FOLDER = Path(__file__).parent / "templates"


def page(template: str, **values: object) -> str:
    """Return the page. Every value is escaped, and a name that the template uses but isn't given is an error."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=lambda value: visible_lines(value) if isinstance(value, str) else value,
    )
    return environment.get_template(template).render(values)

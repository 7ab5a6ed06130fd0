"""An assessment as one page that needs nothing beside it: for a browser, a mail or a printer."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from rackwright.cli.assess_text import headline, place, totals
from rackwright.lifecycle.assess.assessed import GROUPS, Assessment
from rackwright.report.words import safe
from rackwright.state.formats import stamp

_FOLDER = Path(__file__).parent / "templates"


def as_html(found: Assessment, when: datetime) -> str:
    """Return the page; whatever a host said is escaped."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=lambda value: safe(value) if isinstance(value, str) else value,
    )
    page = environment.get_template("assess.html")
    return page.render(
        found=found, groups=GROUPS, headline=headline, place=place, totals=totals(found), when=stamp(when)
    )

"""An assessment as an HTML page."""

from __future__ import annotations

from datetime import datetime

from rackwright.cli.render.assess_text import headline, place, totals
from rackwright.cli.render.page import page
from rackwright.lifecycle.assess.assessment import GROUPS, Assessment
from rackwright.state.formats import stamp


def as_html(found: Assessment, when: datetime) -> str:
    """Return the page. Everything that came from a host is escaped."""
    named = {"headline": headline, "place": place, "totals": totals(found)}
    return page("assess.html", found=found, groups=GROUPS, when=stamp(when), **named)

"""What `migrate score` prints."""

from __future__ import annotations

from rackwright.cli.render.migrate_report.score_text import as_text
from tests.migrate.score.answers import labels, scored


def test_each_segment_has_its_figures_and_its_word():
    found = "\n".join(as_text(scored(labels(78, again=2))))
    assert found.startswith("INCONCLUSIVE: all is open: -2.5 points against the cloud itself (-8.7 to +2.4)")
    assert (
        "check label        80     97.5%   100.0%       -2.5        -8.7 to +2.4   INCONCLUSIVE  about 300" in found
    )
    assert "80 requests scored, margin 5 points, at least 40 pairs; the fleet failed 0 of them" in found
    assert "It doesn't say whether a free text is true" in found


def test_nothing_scored_is_said():
    found = "\n".join(as_text(scored([])))
    assert found.startswith("INCONCLUSIVE: all is open: there is no pair")

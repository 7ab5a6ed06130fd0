from __future__ import annotations

import pytest

from rackwright.verdict import Figure, Interval
from rackwright.verdict import words as said


@pytest.mark.parametrize(
    ("figure", "value", "text"),
    [
        (Figure.ERRORS, 0.0042, "0.42%"),
        (Figure.TTFT_P95, 0.0482, "48.2 ms"),
        (Figure.TTFT_P95, 0.4825, "482 ms"),
        (Figure.TTFT_P95, 4.825, "4.83 s"),
        (Figure.GOLDEN, None, "-"),
    ],
)
def test_a_figure_is_a_share_or_a_time(figure, value, text):
    assert said.value(figure, value) == text


def test_a_difference_is_points_or_times():
    assert said.difference(Figure.GOLDEN, -0.0512) == "-5.1 points"
    assert said.difference(Figure.TPOT_P95, 1.254) == "1.25 times"
    assert said.interval(Figure.GOLDEN, Interval(-0.0512, 0.0004)) == "-5.1 to +0.0"
    assert said.size(Figure.GOLDEN, 0.0512) == "5.1 points"

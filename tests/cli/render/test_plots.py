from __future__ import annotations

import pytest

from rackwright.cli.render.plots import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, plotted, steps


@pytest.mark.parametrize(
    ("highest", "values"),
    [
        (1, (0, 0.2, 0.4, 0.6, 0.8, 1)),
        (1.05, (0, 0.5, 1, 1.5)),
        (0.031, (0, 0.01, 0.02, 0.03, 0.04)),
        (480, (0, 100, 200, 300, 400, 500)),
        (0, (0, 1)),
    ],
)
def test_axes_have_round_values_up_to_the_highest(highest, values):
    assert steps(highest) == values


def test_dots_stand_in_the_picture_in_their_order():
    plot = plotted("First token", "s", [(1, 0.5), (2, 1.0), (4, 2.0)])
    assert plot is not None
    assert [(dot.along, dot.value) for dot in plot.dots] == [(1, 0.5), (2, 1.0), (4, 2.0)]
    assert all(LEFT <= dot.x <= WIDTH - RIGHT and TOP <= dot.y <= HEIGHT - BOTTOM for dot in plot.dots)
    assert plot.dots[0].y > plot.dots[1].y > plot.dots[2].y
    assert plot.line.split()[0] == f"{plot.dots[0].x},{plot.dots[0].y}"
    assert plot.up[0].at == HEIGHT - BOTTOM


@pytest.mark.parametrize(("wanted", "drawn"), [(None, False), (1.5, True), (3.9, True), (100, False)])
def test_a_limit_is_drawn_unless_it_lies_far_above(wanted, drawn):
    plot = plotted("First token", "s", [(1, 1.0), (2, 2.0)], wanted=wanted)
    assert plot is not None
    assert (plot.limit is not None) is drawn
    assert plot.limit is None or TOP <= plot.limit <= HEIGHT - BOTTOM
    assert plot.wanted == wanted


@pytest.mark.parametrize("points", [[], [(1, 1.0)]])
def test_what_makes_no_line_has_no_plot(points):
    assert plotted("First token", "s", points) is None


def test_an_earlier_line_shares_the_axes_and_the_knee_is_one_of_the_dots():
    plot = plotted("First token", "s", [(1, 0.5), (2, 1.0)], earlier=[(1, 1.0), (4, 4.0)], marked=(2, 1.0))
    assert plot is not None
    assert plot.marked == plot.dots[1]
    assert plot.earlier[1].x > plot.dots[1].x
    assert plot.earlier[1].y < plot.dots[1].y
    assert plot.across[-1].value >= 4
    assert plot.earlier_line.split()[1] == f"{plot.earlier[1].x},{plot.earlier[1].y}"

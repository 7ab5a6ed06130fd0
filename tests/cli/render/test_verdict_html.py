from __future__ import annotations

import re
from dataclasses import replace

import pytest

from rackwright.cli.render.verdict_html import as_html
from rackwright.cli.render.verdict_plots import LEFT, RIGHT, WIDTH, plot_of
from rackwright.verdict import Comparison, Difference, Figure, Interval, Side, Word
from tests.verdict.verdicts import FAILED, PASSED, UNKNOWN, VERDICT

EVIL = '<script>alert("x")</script>\x1b[2J&'


def test_the_page_is_self_contained_and_escapes_foreign_text():
    text = as_html(replace(VERDICT, why=EVIL, not_compared=(EVIL,)), EVIL)
    assert text.count("&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;\\x1b[2J&amp;") == 4
    assert "<script" not in text
    assert "\x1b" not in text
    assert not re.search(r"\b(src|href|onload)=|@import|https?:", text)
    assert set(re.findall(r"url\(([^)]*)\)", text)) == {"#bad"}


def test_every_row_bears_its_word_and_every_plot_is_told_in_words():
    text = as_html(VERDICT, "assistant")
    assert [f'<td class="{word}">{word}</td>' in text for word in Word] == [True] * 3
    assert re.findall(r"<figcaption>(.*)</figcaption>", text) == [
        "FAIL: median time to first token",
        "PASS: golden score",
    ]
    labels = re.findall(r'aria-label="([^"]*)"', text)
    assert labels[0] == "median time to first token: 1.93 times, in 1.60 to 2.30; too bad from 1.25 times"


def test_where_too_little_is_known_there_is_no_plot():
    assert plot_of(UNKNOWN) is None
    assert "<h2>Differences</h2>" not in as_html(replace(VERDICT, comparisons=(UNKNOWN,)), "x")


@pytest.mark.parametrize("comparison", [FAILED, PASSED])
def test_worse_lies_to_the_right_and_all_of_it_in_the_picture(comparison):
    plot = plot_of(comparison)
    assert plot is not None
    assert plot.wide.left < plot.plain.left < plot.seen < plot.plain.right < plot.wide.right
    none, limit = plot.marks
    assert none.at < limit.at == plot.too_bad.left
    assert (limit.at < plot.wide.left) is (comparison.word is Word.FAIL)
    assert min(plot.wide.left, none.at) > LEFT
    assert max(plot.wide.right, limit.at) < WIDTH - RIGHT == plot.too_bad.right
    assert plot.noise is not None
    assert plot.noise.left < none.at < plot.noise.right


def test_no_difference_at_all_has_its_picture_too():
    nothing = Difference(0.0, Interval(0.0, 0.0), Interval(0.0, 0.0), 0.0)
    plot = plot_of(Comparison(Figure.ERRORS, Word.PASS, "", Side(1, 1, 0.0), Side(1, 1, 0.0), 0.01, nothing))
    assert plot is not None
    assert plot.seen == plot.plain.left == plot.wide.right == plot.marks[0].at

from __future__ import annotations

from dataclasses import replace

from rackwright.report.verdict_text import verdict_text
from tests.verdict.verdicts import PASSED, VERDICT


def test_the_text_begins_with_the_word_and_the_reason_and_has_every_figure():
    assert verdict_text(VERDICT, "assistant: 93ab… beside 5f1c…") == [
        "assistant: 93ab… beside 5f1c…",
        "FAIL: median time to first token is too bad: it is slow",
        "",
        "              figure                      running  candidate   difference       lies in  too bad from"
        "       noise     counted",
        "FAIL          median time to first token   296 ms     570 ms   1.93 times  1.60 to 2.30    1.25 times"
        "  1.03 times  1200 / 396",
        "INCONCLUSIVE  p95 of time per token       48.2 ms          -            -             -    1.50 times"
        "           -    1200 / 0",
        "PASS          golden score                 86.00%     85.20%  -0.8 points  -4.0 to +2.4   -5.0 points"
        "  0.4 points   250 / 250",
        "",
        "note: median time to first token: it is slow",
        "note: p95 of time per token: too little data",
        "note: not compared: valid formats: no check asks for one",
        "note: each difference is in its interval with a probability of 95 %; a FAIL is judged by a wider one, with "
        "98.33 %",
    ]


def test_a_difference_that_rounds_to_nothing_has_no_minus():
    assert PASSED.difference is not None
    tiny = replace(PASSED, difference=replace(PASSED.difference, estimate=-0.0001))
    assert "+0.0 points" in "\n".join(verdict_text(replace(VERDICT, comparisons=(tiny,)), "x"))

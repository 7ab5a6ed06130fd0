"""What the docs show is what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import click
import numpy as np

from rackwright.report.verdict_text import verdict_text
from rackwright.verdict import Thresholds, decide
from tests.verdict.simulated import Version, evidence
from tests.verdict.takes import takes

DOCS = Path(__file__).parents[2] / "docs"


def test_the_example_of_the_docs_is_a_simulated_verdict():
    found = decide(evidence(np.random.default_rng(8), Version(slowness=1.9)))
    about = "assistant: a candidate that is 1.9 times as slow, beside the running version (simulated)"
    [shown] = re.findall(r"^```\n(assistant: .*?)^```$", (DOCS / "verdict.md").read_text(), re.MULTILINE | re.DOTALL)
    assert _but_for_digits(click.unstyle(verdict_text(found, about))) == _but_for_digits(shown)


def _but_for_digits(text: str) -> str:
    """Another release of numpy or scipy may draw other random numbers."""
    return re.sub(r"[\s\d.+-]+", "#", text.strip())


def test_the_docs_say_how_much_a_pass_takes():
    page = (DOCS / "verdict.md").read_text()
    rows = re.findall(r"^\| (?:errors|golden score, valid formats) .* from (\d.*) \|$", page, re.MULTILINE)
    told = [int(number.replace(",", "")) for row in rows for number in re.findall(r"\d[\d,]*", row)]
    assert tuple(told) == takes()


def test_the_docs_name_the_thresholds_that_there_are():
    rows = re.findall(r"^\| .* \| ([^|]*\d (?:%|points?) [^|]*) \|$", (DOCS / "verdict.md").read_text(), re.MULTILINE)
    told = [float(number) / 100 for row in rows for number in re.findall(r"(\d+) (?:%|points?)", row)]
    has = Thresholds()
    assert told == [
        has.errors,
        has.ttft_median,
        has.ttft_p95,
        has.tpot_median,
        has.tpot_p95,
        has.ttft_median,
        has.formats,
        has.golden,
    ]

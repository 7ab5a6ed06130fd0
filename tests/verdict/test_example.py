"""The docs show what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from rackwright.cli.model.verdict import report_on
from rackwright.state.canaries import CanaryVerdict
from rackwright.verdict import Thresholds
from tests.verdict.takes import takes

DOC = (Path(__file__).parents[2] / "docs" / "verdict.md").read_text()


def test_the_example_of_the_docs_is_a_real_canary_s():
    """slow.json is what a control host kept about it."""
    kept = CanaryVerdict.model_validate_json((Path(__file__).parent / "slow.json").read_text())
    shown = re.search(r"^\$ rackwright model verdict assistant\n(.*?)^```$", DOC, re.MULTILINE | re.DOTALL)
    assert shown
    assert shown[1] == "".join(f"{line}\n" for line in report_on(kept))


def test_the_docs_say_how_much_a_pass_takes():
    rows = re.findall(r"^\| (?:errors|golden score, valid formats) .* from (\d.*) \|$", DOC, re.MULTILINE)
    told = [int(number.replace(",", "")) for row in rows for number in re.findall(r"\d[\d,]*", row)]
    assert tuple(told) == takes()


def test_the_docs_name_the_thresholds_that_there_are():
    rows = re.findall(r"^\| .* \| ([^|]*\d (?:%|points?) [^|]*) \|$", DOC, re.MULTILINE)
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

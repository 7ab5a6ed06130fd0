from __future__ import annotations

import json

import pytest

from rackwright.errors import RackwrightError
from rackwright.report.verdict_document import parse_verdict, verdict_document
from tests.verdict.verdicts import VERDICT

TEXT = json.dumps(verdict_document(VERDICT))


def test_what_is_written_is_read_again():
    assert parse_verdict(TEXT, "here") == VERDICT


def test_the_document_is_plain_json_with_its_format_first():
    document = json.loads(TEXT)
    assert list(document)[:2] == ["format", "word"]
    assert document["format"] == "verdict/1"
    assert document["comparisons"][0] == {
        "figure": "median time to first token",
        "word": "FAIL",
        "why": "it is slow",
        "running": {"count": 1200, "clusters": 400, "value": 0.296},
        "candidate": {"count": 396, "clusters": 130, "value": 0.57},
        "threshold": 1.25,
        "difference": {
            "estimate": 1.93,
            "interval": {"low": 1.6, "high": 2.3},
            "wide": {"low": 1.5, "high": 2.5},
            "noise": 1.03,
        },
        "needed": None,
        "decides": True,
    }


def test_unknown_keys_are_ignored_and_a_newer_or_damaged_one_is_refused():
    assert parse_verdict(TEXT.replace('"count"', '"mood": 1, "count"'), "here") == VERDICT
    with pytest.raises(RackwrightError, match=r"here: was written by a newer rackwright \(verdict/2\)"):
        parse_verdict(TEXT.replace("verdict/1", "verdict/2"), "here")
    for damaged in ("", "{}", TEXT.replace("FAIL", "MAYBE"), TEXT.replace('"estimate"', '"guess"')):
        with pytest.raises(RackwrightError, match=r"here: is damaged: .*; should be of format verdict/1"):
            parse_verdict(damaged, "here")

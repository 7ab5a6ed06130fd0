from __future__ import annotations

import json

from rackwright.report.verdict_document import verdict_document
from tests.verdict.verdicts import VERDICT

TEXT = json.dumps(verdict_document(VERDICT))


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

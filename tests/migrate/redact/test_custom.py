"""The operator's own kinds of text."""

from __future__ import annotations

import pytest

from rackwright.migrate.redact import Redactor, usable


def test_the_operators_kinds_are_replaced_but_not_inside_placeholders():
    redactor = Redactor({"ticket": "TCK-[0-9]{6}", "word": "email|x{3}"})
    assert (
        redactor.text("TCK-123456 a@b.io email xxx TCK-123456") == "<ticket-1> <email-1> <word-1> <word-2> <ticket-1>"
    )
    assert redactor.counts == {"email": 1, "ticket": 1, "word": 2}


@pytest.mark.parametrize(
    "pattern",
    [
        "(", "[a", "a*", "", "x?", "(?=a)", "(a+)+$", "[a-z]+x", "(a|a){30}", "(a{1,9}){1,9}", r"(a)\1",
        "a{1,100000}b", "a{" + "9" * 5000 + "}",
        "(?:a?){50}a{50}", "(?i:(a|b|ab){1,40})c", ".*x", "(x+x+)+y", "(?:[0-9]{1,50}){2}",
    ],
)  # fmt: skip
def test_an_operators_pattern_that_cant_be_used_is_refused_with_its_kind(pattern):
    with pytest.raises(ValueError, match=r"^ticket: .+"):
        Redactor({"ticket": pattern})


@pytest.mark.parametrize("kind", ["Ticket", "", "1a", "a b", "a" * 25, "<x>"])
def test_a_kind_that_cant_be_a_placeholder_is_refused(kind):
    with pytest.raises(ValueError, match="should be a letter"):
        Redactor({kind: "abc"})


@pytest.mark.parametrize(
    "pattern",
    [
        "TCK-[0-9]{6}",
        "(?i)acme( gmbh| inc)?",
        "TCK-[0-9]+",
        "[a-z]+",
        "x.*",
        "a{1,9}-[0-9]{2,}",
        r"\b[A-Z]{2,4}-[0-9]{1,10}\b",
        "a{1,200}b",
    ],
)
def test_an_ordinary_pattern_can_be_used(pattern):
    assert usable("ticket", pattern).pattern == pattern

from __future__ import annotations

from dataclasses import replace

import pytest

from rackwright.cli.render.drill_pages import drill_pages
from rackwright.errors import UsageError
from rackwright.lifecycle.drill.evidence.chain import examine
from rackwright.lifecycle.drill.evidence.review import earlier_findings, sign_off
from rackwright.lifecycle.drill.evidence.signature import REPORT, REVIEW, sign
from tests.lifecycle.drill.passing import FIRST, SECOND, minutes, passing


@pytest.fixture
def reviewed(office):
    report = office.seal(passing()).report
    sign_off(office.folder, report, office.key("ben"), office.signers, "fine", {1: "bought a faster disk"})
    return office


def test_another_signer_signs_it_off(reviewed):
    (one,) = reviewed.examine().examined[0].reviews
    assert (one.problem, one.review.reviewer, one.review.note) == (None, "ben", "fine")
    assert reviewed.problems() == []


def test_there_may_be_several_reviews(reviewed):
    report = reviewed.examine().reports[0]
    second = sign_off(reviewed.folder, report, reviewed.key("ben"), reviewed.signers, "still", {})
    assert second.number == 2
    assert reviewed.problems() == []


def test_a_review_closes_findings_for_the_next_drill(reviewed):
    report = reviewed.seal(passing(drill=SECOND)).report
    first = reviewed.examine().examined[0]
    reviews = {FIRST: [one.review for one in first.reviews]}
    found = earlier_findings([first.report, report], reviews)
    assert [(one.drill, one.number, one.closed) for one in found] == [
        (FIRST, 1, "bought a faster disk"),
        (SECOND, 1, None),
    ]


def test_nobody_reviews_their_own_report(office):
    report = office.seal(passing()).report
    with pytest.raises(UsageError, match="anna signed the report"):
        sign_off(office.folder, report, office.key("anna"), office.signers, "", {})


@pytest.mark.parametrize(
    ("note", "closed"),
    [("", {2: "done"}), ("", {0: "done"}), ("a\nb", {}), ("\x1b[2J", {}), ("x" * 501, {}), ("", {1: "\u202e"})],
)
def test_a_finding_that_is_not_there_and_an_unprintable_text_are_refused(office, note, closed):
    report = office.seal(passing()).report
    with pytest.raises(UsageError):
        sign_off(office.folder, report, office.key("ben"), office.signers, note, closed)
    assert office.examine().examined[0].reviews == ()


def forge(office, purpose: str = REVIEW, signer: str = "ben", **changes: object) -> None:
    """Change the first review, and sign it again."""
    (one,) = office.examine().examined[0].reviews
    content = one.review.model_copy(update=changes).model_dump_json(indent=1).encode()
    one.path.write_bytes(content)
    one.path.with_name(f"{one.path.name}.sig").write_bytes(sign(content, office.key(signer), purpose))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"note": "bad", "signer": "mallory"}, "isn't a signer's key"),
        ({"signer": "anna"}, "signed by anna, not by ben"),
        ({"signer": "anna", "reviewer": "anna"}, "own signer"),
        ({"purpose": REPORT}, "signature"),
        ({"report": "0" * 64}, "another report"),
        ({"drill": SECOND}, "another report"),
        ({"number": 2}, "another file's name"),
        ({"time": passing().started}, "older than the report"),
        ({"format": "drill-review/2"}, "newer rackwright"),
        ({"format": "drill/1"}, "is of the format"),
        ({"closed": ({"number": 9, "how": "x"},)}, "doesn't have"),
    ],
)
def test_a_forged_review_is_found(reviewed, changes, words):
    forge(reviewed, **changes)
    problems = reviewed.problems()
    assert any(words in problem for problem in problems), problems


def test_a_changed_or_unsigned_review_is_found(reviewed):
    (one,) = reviewed.examine().examined[0].reviews
    one.path.write_bytes(one.path.read_bytes().replace(b"fine", b"poor"))
    assert len(reviewed.problems()) == 1
    one.path.with_name(f"{one.path.name}.sig").unlink()
    assert "can't be read" in reviewed.problems()[0]


def test_a_reviewer_who_had_ended_is_found(reviewed):
    ended = replace(reviewed.signer("ben"), before=reviewed.examine().reports[0].sealed - minutes(1))
    chain = examine(reviewed.folder, (reviewed.signer("anna"), ended), drill_pages)
    assert not chain.sound

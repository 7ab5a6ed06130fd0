"""A reviewer's sign-off: another signer has read a report, and says which findings are closed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, StrictInt

from rackwright.errors import ProofError, RackwrightError, UsageError
from rackwright.lifecycle.drill.evidence.facts import EarlierFinding
from rackwright.lifecycle.drill.evidence.folder import locked, put, read, report_path, reviews_in, signature_path
from rackwright.lifecycle.drill.evidence.report import Report
from rackwright.lifecycle.drill.evidence.signature import LIMIT as SIGNATURE_LIMIT
from rackwright.lifecycle.drill.evidence.signature import REVIEW, SigningKey, sign, verify_signature
from rackwright.lifecycle.drill.evidence.signers import Signer
from rackwright.state.formats import Moment, parse, utc_now
from rackwright.values.base import Stored
from rackwright.values.text import Line, Sha256

KIND = "drill-review"
_LIMIT = 1 << 20
_MOST_WORDS = 500
Words = Annotated[Line, Field(max_length=_MOST_WORDS)]


class Closed(Stored):
    """A finding that is done."""

    number: Annotated[StrictInt, Field(ge=1)]
    """Its place in the report, from 1."""
    how: Words


class Review(Stored):
    """What the reviewer signs."""

    format: str = f"{KIND}/1"
    drill: str
    report: Sha256
    """Of the report's file."""
    number: Annotated[StrictInt, Field(ge=1)]
    """Its place among the report's reviews, from 1."""
    reviewer: str
    time: Moment
    note: Words = ""
    closed: tuple[Closed, ...] = ()


@dataclass(frozen=True)
class Reviewed:
    """A review, and what is wrong with it."""

    path: Path
    review: Review | None
    problem: str | None


def sign_off(
    folder: Path, report: Report, key: SigningKey, signers: Sequence[Signer], note: str, closed: Mapping[int, str]
) -> Review:
    """Write and sign a review of the report, and return it. `closed`: number of a finding → how it was closed.

    Raise UsageError if the report's signer would review it, if there is no such finding, or if a text has control
    characters or is too long.
    """
    if key.signer == report.signer:
        raise UsageError(f"{key.signer} signed the report", should="another signer should review it")
    count = len(report.facts.findings)
    if strange := sorted(number for number in closed if not 1 <= number <= count):
        raise UsageError(f"the report has no finding {strange[0]}", should=f"it has {count}")
    with locked(folder):
        path = report_path(folder, report.facts.drill)
        number = len(reviews_in(folder, report.facts.drill)) + 1
        review = _made(path, report, key, number, note, closed)
        content = review.model_dump_json(indent=1).encode() + b"\n"
        signature = sign(content, key, REVIEW)
        verify_signature(content, signature, key.signer, signers, REVIEW, review.time)
        to = folder / f"{report.facts.drill}.review-{number}.json"
        put(signature_path(to), signature)
        put(to, content)
    return review


def reviews_of(folder: Path, report: Report, signers: Sequence[Signer]) -> tuple[Reviewed, ...]:
    """Return the report's reviews by number, each with what is wrong with it, if anything."""
    digest = hashlib.sha256(read(report_path(folder, report.facts.drill))).hexdigest()
    return tuple(_reviewed(path, report, digest, signers) for path in reviews_in(folder, report.facts.drill))


def earlier_findings(
    reports: Iterable[Report], reviews: Mapping[str, Sequence[Review]]
) -> tuple[EarlierFinding, ...]:
    """Return all findings of these reports, with how the reviews (drill → reviews) closed them."""
    found = []
    for report in reports:
        closed = {one.number: one.how for review in reviews.get(report.facts.drill, ()) for one in review.closed}
        for number, finding in enumerate(report.facts.findings, 1):
            how = closed.get(number)
            found.append(
                EarlierFinding(report.facts.drill, number, finding.text, finding.owner, finding.due, closed=how)
            )
    return tuple(found)


def _made(path: Path, report: Report, key: SigningKey, number: int, note: str, closed: Mapping[int, str]) -> Review:
    try:
        return Review(
            drill=report.facts.drill,
            report=hashlib.sha256(read(path)).hexdigest(),
            number=number,
            reviewer=key.signer,
            time=utc_now(),
            note=note,
            closed=tuple(Closed(number=one, how=how) for one, how in closed.items()),
        )
    except ValueError:
        raise UsageError(
            "a note or the text of a closed finding isn't valid",
            should=f"should be one line of at most {_MOST_WORDS} characters, without control characters",
        ) from None


def _reviewed(path: Path, report: Report, digest: str, signers: Sequence[Signer]) -> Reviewed:
    try:
        content = read(path, _LIMIT)
        review = parse(Review, KIND, content.decode(errors="replace"), "")
        _check(path, review, report, digest)
        signature = read(signature_path(path), SIGNATURE_LIMIT)
        verify_signature(content, signature, review.reviewer, signers, REVIEW, review.time)
    except RackwrightError as error:
        return Reviewed(path, None, error.problems[0].what)
    return Reviewed(path, review, None)


def _check(path: Path, review: Review, report: Report, digest: str) -> None:
    if review.format != f"{KIND}/1":
        raise ProofError(f"is of the format {review.format}")
    if (review.drill, review.report) != (report.facts.drill, digest):
        raise ProofError("reviews another report")
    if path.name != f"{review.drill}.review-{review.number}.json":
        raise ProofError("has another file's name")
    if review.reviewer == report.signer:
        raise ProofError("is by the report's own signer")
    if review.time < report.sealed:
        raise ProofError("is older than the report")
    if any(one.number > len(report.facts.findings) for one in review.closed):
        raise ProofError("closes a finding that the report doesn't have")

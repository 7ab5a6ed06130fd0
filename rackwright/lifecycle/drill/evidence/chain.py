"""Verify a folder of reports, offline. Nothing in it is trusted, except the file of signers."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rackwright import __version__
from rackwright.errors import RackwrightError
from rackwright.lifecycle.drill.evidence.conclusion import conclude
from rackwright.lifecycle.drill.evidence.folder import (
    LIMIT,
    draft_path,
    hash_of,
    is_id,
    pages_of,
    read,
    report_path,
    reports_in,
    signature_path,
    signed_ids,
)
from rackwright.lifecycle.drill.evidence.report import Report, report_in, written
from rackwright.lifecycle.drill.evidence.review import Reviewed, reviews_of
from rackwright.lifecycle.drill.evidence.seal import PageMaker
from rackwright.lifecycle.drill.evidence.signature import LIMIT as SIGNATURE_LIMIT
from rackwright.lifecycle.drill.evidence.signature import REPORT, verify_signature
from rackwright.lifecycle.drill.evidence.signers import Signer


@dataclass(frozen=True)
class Examined:
    """One report, and everything that is wrong with it or its place in the chain."""

    path: Path
    sha256: str = ""
    report: Report | None = None
    """None: it can't be read."""
    problems: tuple[str, ...] = ()
    reviews: tuple[Reviewed, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong with it or with its reviews. It may still report a drill that didn't pass."""
        return not self.problems and not any(one.problem for one in self.reviews)


@dataclass(frozen=True)
class Chain:
    """The reports of a folder, by number; those that can't be read come first."""

    examined: tuple[Examined, ...]
    problems: tuple[str, ...] = field(default=())
    """What is wrong with the folder as a whole."""

    @property
    def sound(self) -> bool:
        return not self.problems and all(one.sound for one in self.examined)

    @property
    def reports(self) -> tuple[Report, ...]:
        """Those that can be read."""
        return tuple(one.report for one in self.examined if one.report)


def examine(
    folder: Path, signers: Sequence[Signer], pages: PageMaker, *, upto: str | None = None, fleet: str | None = None
) -> Chain:
    """Return the folder's reports with everything that is wrong with them.

    `upto`: only the report with this id and those before it. `fleet`: the fleet that all should be of; without it,
    the first report's. Raise RackwrightError if the folder can't be read.
    """
    found = [_examined(path, signers, pages) for path in reports_in(folder)]
    found.sort(key=lambda one: (one.report.number if one.report else 0, one.path.name))
    wanted = next((one for one in found if upto and one.path.name == f"{upto}.json"), None)
    if upto and wanted and wanted.report:
        last = wanted.report.number
        found = [one for one in found if one is wanted or (one.report and one.report.number < last)]
    elif upto:
        return Chain((wanted,) if wanted else (), () if wanted else (f"{upto}.json: is missing",))
    linked = tuple(_linked(found, fleet))
    return Chain(linked, () if upto else tuple(_removed(folder)))


def _examined(path: Path, signers: Sequence[Signer], pages: PageMaker) -> Examined:
    try:
        content = read(path)
    except RackwrightError as error:
        return Examined(path, problems=(error.problems[0].what,))
    digest = hashlib.sha256(content).hexdigest()
    try:
        report = report_in(content, path.name)
    except RackwrightError as error:
        return Examined(path, digest, problems=(error.problems[0].line(),))
    problems = (
        *_signed(path, content, report, signers),
        *_itself(path, content, report),
        *_pages(path, report, pages),
        *_log(path, report),
    )
    return Examined(path, digest, report, problems, _reviews(path, report, signers))


def _signed(path: Path, content: bytes, report: Report, signers: Sequence[Signer]) -> Iterator[str]:
    try:
        signature = read(signature_path(path), SIGNATURE_LIMIT)
        signer = verify_signature(content, signature, report.signer, signers, REPORT, report.sealed)
    except RackwrightError as error:
        yield error.problems[0].what if error.problems[0].where == "" else f"its signature {error.problems[0].what}"
        return
    if signer.key.fingerprint != report.key:
        yield f"it names the key {report.key}, and {signer.key.fingerprint} signed it"


def _itself(path: Path, content: bytes, report: Report) -> Iterator[str]:
    facts = report.facts
    if not is_id(facts.drill) or path.name != f"{facts.drill}.json":
        yield f"it is the report of {facts.drill}, under another name"
    if report.conclusion != conclude(facts):
        yield "its conclusion doesn't follow from its facts"
    if facts.ended and report.sealed < facts.ended:
        yield "it was sealed before the drill's end"
    if _own(report) and written(report) != content:
        yield "it has more in it than a report has"


def _pages(path: Path, report: Report, pages: PageMaker) -> Iterator[str]:
    if report.pages is None:
        yield "it doesn't name its pages"
        return
    made = _made(report, pages) if _own(report) else (None, None)
    for page, digest, text in zip(pages_of(path), (report.pages.markdown, report.pages.html), made, strict=True):
        try:
            content = read(page, 4 * LIMIT)
        except RackwrightError as error:
            yield f"its page {page.name} {error.problems[0].what}"
            continue
        if hashlib.sha256(content).hexdigest() != digest:
            yield f"its page {page.name} was changed"
        elif text is not None and text.encode() != content:
            yield f"its page {page.name} says something else"


def _log(path: Path, report: Report) -> Iterator[str]:
    signed = report.pages.log if report.pages else None
    log = path.with_suffix(".log")
    if signed is None:
        if os.path.lexists(log):
            yield f"its log {log.name} was added: there was none when the report was signed"
        return
    try:
        if hash_of(log) != signed:
            yield f"its log {log.name} was changed"
    except RackwrightError as error:
        yield f"its log {log.name} {error.problems[0].what if os.path.lexists(log) else 'is missing'}"


def _made(report: Report, pages: PageMaker) -> tuple[str, str]:
    return pages(report.model_copy(update={"pages": None}))


def _own(report: Report) -> bool:
    """Return whether this version wrote the report, so that it would write the same again."""
    return report.facts.versions is not None and report.facts.versions.rackwright == __version__


def _reviews(path: Path, report: Report, signers: Sequence[Signer]) -> tuple[Reviewed, ...]:
    # Under another name it isn't this drill's report, so it has no reviews.
    if path.name != f"{report.facts.drill}.json" or not is_id(report.facts.drill):
        return ()
    return reviews_of(path.parent, report, signers)


def _linked(found: Sequence[Examined], fleet: str | None) -> Iterator[Examined]:
    """Yield the reports with what is wrong with their places in the chain."""
    before: Examined | None = None
    for one in found:
        if one.report is None:
            yield one
            continue
        fleet = fleet or one.report.facts.fleet
        more = tuple(_place(one.report, before, fleet))
        yield Examined(one.path, one.sha256, one.report, (*one.problems, *more), one.reviews)
        before = one


def _place(report: Report, before: Examined | None, fleet: str) -> Iterator[str]:
    if report.facts.fleet != fleet:
        yield f"it is of the fleet {report.facts.fleet}, not {fleet}"
    earlier = before.report if before else None
    expected = earlier.number + 1 if earlier else 1
    if report.number == expected - 1:
        yield f"there are two reports with the number {report.number}"
        return
    if report.number > expected:
        gone = "report" if report.number == expected + 1 else "reports"
        last = "" if report.number == expected + 1 else f" to {report.number - 1}"
        yield f"{gone} {expected}{last} before it: missing or unreadable"
        return
    if before is None or earlier is None:
        if report.previous:
            yield "it is the first, and names one before it"
        return
    if report.previous is None or report.previous.drill != earlier.facts.drill:
        yield f"it doesn't name {earlier.facts.drill} as the report before it"
    elif report.previous.sha256 != before.sha256:
        yield f"the report before it, {earlier.facts.drill}, was changed"
    if report.sealed < earlier.sealed:
        yield "it was sealed before the report before it"


def _removed(folder: Path) -> Iterator[str]:
    for drill in signed_ids(folder):
        if not report_path(folder, drill).exists() and not draft_path(folder, drill).exists():
            yield f"{drill}.json: is missing; its signature is there"

"""Seal a drill: conclude, write the report and its pages, sign it and chain it to the report before."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from rackwright.errors import ProofError, RackwrightError, UsageError
from rackwright.lifecycle.drill.evidence.conclusion import CLOCK_SLACK_S, conclude
from rackwright.lifecycle.drill.evidence.facts import Facts
from rackwright.lifecycle.drill.evidence.folder import (
    LIMIT,
    draft_path,
    drafts_in,
    hash_of,
    is_id,
    is_running,
    locked,
    log_path,
    pages_of,
    put,
    read,
    remove,
    report_path,
    reports_in,
    signature_path,
)
from rackwright.lifecycle.drill.evidence.report import Draft, Link, Pages, Report, draft_in, report_in, written
from rackwright.lifecycle.drill.evidence.signature import REPORT, SigningKey, sign, verify_signature
from rackwright.lifecycle.drill.evidence.signers import Signer
from rackwright.state.formats import stamp, utc_now

PageMaker = Callable[[Report], tuple[str, str]]
"""Given a report without the hashes of its pages, returns its Markdown and its HTML."""


@dataclass(frozen=True)
class Sealed:
    """A report that is written and signed."""

    path: Path
    sha256: str
    """Of the file. With a copy kept elsewhere, an auditor sees whether this report is still there, unchanged."""
    report: Report

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why the drill didn't pass; empty if it did."""
        return self.report.conclusion.doubts


@dataclass(frozen=True)
class Leftover:
    """The facts of a drill that was killed."""

    path: Path
    facts: Facts


def save_draft(folder: Path, facts: Facts) -> None:
    """Keep what the drill knows so far, in place of its earlier draft. Raise RackwrightError if it can't be written.

    Call it inside `folder.running`, or the draft counts as a leftover.
    """
    if not is_id(facts.drill):
        raise RackwrightError("isn't a run's id", where=facts.drill)
    folder.mkdir(exist_ok=True)
    put(draft_path(folder, facts.drill), written(Draft(facts=facts)))


def drafts(folder: Path) -> tuple[Leftover, ...]:
    """Return what killed drills left, by id. Raise RackwrightError if a draft is damaged."""
    return tuple(
        Leftover(path, draft_in(read(path), str(path)).facts)
        for path in drafts_in(folder)
        if _is_left(folder, path.name.partition(".")[0])
    )


def _is_left(folder: Path, drill: str) -> bool:
    # A cut right after the report was written leaves both.
    return not is_running(folder, drill) and not report_path(folder, drill).exists()


def seal(folder: Path, facts: Facts, key: SigningKey, signers: Sequence[Signer], pages: PageMaker) -> Sealed:
    """Write the report, its pages and its signature, and remove the draft.

    The report itself is written last, so a cut leaves no report without a signature; then the draft is still there,
    and sealing again completes it. Raise UsageError if the drill has a report, RackwrightError if the report before
    can't be read or the key doesn't sign, ProofError if the signature isn't valid.
    """
    save_draft(folder, facts)
    with locked(folder):
        path = report_path(folder, facts.drill)
        if path.is_symlink() or path.exists():
            raise UsageError("this drill has a report", where=str(path), next=f"rackwright drill verify {path}")
        report, texts = _made(folder, facts, key, pages)
        content = written(report)
        if len(content) > LIMIT:
            raise RackwrightError(f"would be larger than {LIMIT >> 20} MiB", where=str(path))
        signature = sign(content, key, REPORT)
        verify_signature(content, signature, key.signer, signers, REPORT, report.sealed)
        for page, text in zip(pages_of(path), texts, strict=True):
            put(page, text)
        put(signature_path(path), signature)
        put(path, content)
        remove(draft_path(folder, facts.drill))
    return Sealed(path, hashlib.sha256(content).hexdigest(), report)


def _made(folder: Path, facts: Facts, key: SigningKey, pages: PageMaker) -> tuple[Report, tuple[bytes, ...]]:
    before = _before(folder, facts.fleet)
    # A reader has times to the second, so the conclusion is drawn from these.
    facts = draft_in(written(Draft(facts=facts)), facts.drill).facts
    report = Report(
        number=before.number + 1,
        previous=before.link,
        sealed=_sealed_at(facts, before.sealed),
        signer=key.signer,
        key=key.key.fingerprint,
        facts=facts,
        conclusion=conclude(facts),
    )
    texts = tuple(text.encode() for text in pages(report))
    markdown, html = (hashlib.sha256(text).hexdigest() for text in texts)
    pages_now = Pages(markdown=markdown, html=html, log=_log(folder, facts.drill))
    return report.model_copy(update={"pages": pages_now}), texts


def _log(folder: Path, drill: str) -> str | None:
    path = log_path(folder, drill)
    return hash_of(path) if os.path.lexists(path) else None


def _sealed_at(facts: Facts, before: datetime | None) -> datetime:
    """Return the present time, not before the drill's end and the report before, which another machine may have
    sealed."""
    now = utc_now()
    latest = max(filter(None, (now, facts.ended, before)))
    if latest > now + timedelta(seconds=CLOCK_SLACK_S):
        raise RackwrightError(
            f"the drill or the report before ended in the future: {stamp(latest)}",
            where="this machine's clock",
            should=f"should be right; it says {stamp(now)}",
            next=f"rackwright drill seal {facts.drill}",
        )
    return latest


@dataclass(frozen=True)
class _Last:
    """The newest report, by its number."""

    number: int = 0
    link: Link | None = None
    sealed: datetime | None = None


def _before(folder: Path, fleet: str) -> _Last:
    last = _Last()
    for path in reports_in(folder):
        content = read(path)
        report = report_in(content, str(path))
        if report.facts.fleet != fleet:
            raise ProofError(
                f"is of the fleet {report.facts.fleet}",
                where=str(path),
                should=f"should be of {fleet}: each fleet has its own folder",
            )
        if report.number > last.number:
            link = Link(drill=report.facts.drill, sha256=hashlib.sha256(content).hexdigest())
            last = _Last(report.number, link, report.sealed)
    return last

"""`rackwright drill verify`: whether reports are what was signed, and what they prove."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context
from rackwright.cli.common.options import Command, json_option, pass_context
from rackwright.cli.drill.options import signers_option
from rackwright.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from rackwright.lifecycle.drill.evidence.chain import Chain, Examined
    from rackwright.lifecycle.drill.evidence.report import Report


@click.command(cls=Command)
@click.argument("path", metavar="FILE|FOLDER", type=click.Path(path_type=Path))
@signers_option
@json_option
@pass_context
def verify(context: Context, path: Path, signers: Path | None) -> int:
    """Verify reports offline: signatures, chain, pages and conclusions.

    FILE is verified with all reports before it, FOLDER as a whole. No fleet file is needed. Exit code 12 if the
    evidence isn't sound, or if the drill, the newest in FOLDER, didn't pass.
    """
    from rackwright.cli.render.drill_history import examined_document
    from rackwright.cli.render.drill_pages import drill_pages
    from rackwright.lifecycle.drill.evidence.chain import examine
    from rackwright.lifecycle.drill.evidence.folder import is_id
    from rackwright.lifecycle.drill.evidence.signers import signers_in

    folder, drill = _asked(path)
    if drill and not is_id(drill):
        raise UsageError("isn't the name of a report", where=str(path), should="should be ID.json")
    chain = examine(folder, signers_in(signers or folder.with_suffix(".signers")), drill_pages, upto=drill)
    if not chain.examined and not chain.problems:
        raise UsageError("has no report", where=str(path), should="should be a report or a folder NAME.drills")
    last = chain.examined[-1].report if chain.examined else None
    passed = last is not None and last.conclusion.passed
    document = {
        "sound": chain.sound,
        "passed": passed,
        "problems": list(chain.problems),
        "reports": [examined_document(one) for one in chain.examined],
    }
    context.answer(document, *_lines(chain))
    return ExitCode.DONE if chain.sound and passed else ExitCode.NOT_PROVEN


def _asked(path: Path) -> tuple[Path, str | None]:
    """Return the folder, and the id of the report if one was asked for."""
    try:
        here = path.resolve()
    except (OSError, RuntimeError):
        raise UsageError("can't be read", where=str(path)) from None
    if here.is_dir():
        return here, None
    if not path.is_symlink() and not here.exists():
        raise UsageError("isn't there", where=str(path), should="should be a report or a folder NAME.drills")
    # The name as it is written: a link to a report is no report.
    return path.parent.resolve(), path.name.removesuffix(".json")


def _lines(chain: Chain) -> Iterator[str]:
    for one in chain.examined:
        yield from _report_lines(one)
    yield from (f"NOT SOUND: {problem}" for problem in chain.problems)
    if chain.sound:
        last = chain.examined[-1]
        number = last.report.number if last.report else 0
        yield f"sound: all signatures and the chain up to report {number}, sha256 {last.sha256}"


def _report_lines(one: Examined) -> Iterator[str]:
    from rackwright.cli.render.drill_sections import heading

    yield heading(one.report) if one.report else f"{one.path.name}: unreadable"
    yield from (f"  NOT SOUND: {problem}" for problem in one.problems)
    if one.report:
        yield from _proof_lines(one.report, sound=not one.problems)
    for review in one.reviews:
        if review.problem:
            yield f"  NOT SOUND: {review.path.name}: {review.problem}"
        elif review.review:
            yield f"  reviewed by {review.review.reviewer}{f': {review.review.note}' if review.review.note else ''}"


def _proof_lines(report: Report, *, sound: bool) -> Iterator[str]:
    from rackwright.cli.render.drill_sections import seconds
    from rackwright.state.formats import stamp

    found, policy = report.conclusion, report.facts.policy
    wanted = (policy.rto_s, policy.rpo_s) if policy else (None, None)
    yield f"  {'signed by' if sound else 'claims to be by'} {report.signer} on {stamp(report.sealed)}, {report.key}"
    yield f"  RTO {seconds(found.rto_s)} of {seconds(wanted[0])}, RPO {seconds(found.rpo_s)} of {seconds(wanted[1])}"
    yield from (f"  not proven: {doubt}" for doubt in found.doubts)
    yield from (f"  not tested: {one.what}: {one.why}" for one in report.facts.not_tested)

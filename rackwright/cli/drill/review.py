"""`rackwright drill review`: a second person signs a report off."""

from __future__ import annotations

from pathlib import Path

import click

from rackwright.cli.common.context import Context
from rackwright.cli.common.options import Command, common_options, pass_context
from rackwright.cli.drill.options import sign_with_option
from rackwright.errors import ProofError, UsageError


@click.command(cls=Command)
@click.argument("drill", metavar="ID")
@click.option("--note", default="", metavar="TEXT", help="What you think of it, in one line.")
@click.option(
    "--close", "closes", multiple=True, metavar="NUMBER:HOW", help="A finding that is closed; may be repeated."
)
@sign_with_option
@common_options
@pass_context
def review(context: Context, drill: str, note: str, closes: tuple[str, ...], sign_with: Path | None) -> None:
    """Sign a report off as a second person, and close findings.

    The report's own signer can't review it. Exit code 12 if the evidence isn't sound.
    """
    from rackwright.cli.render.drill_pages import drill_pages
    from rackwright.lifecycle.drill.evidence.chain import examine
    from rackwright.lifecycle.drill.evidence.folder import folder_of, is_id, report_path
    from rackwright.lifecycle.drill.evidence.review import sign_off
    from rackwright.lifecycle.drill.evidence.signature import REVIEW
    from rackwright.lifecycle.drill.evidence.signers import keep_signers
    from rackwright.lifecycle.drill.evidence.signing_key import signing_key
    from rackwright.state.formats import utc_now

    closed = _closed(closes)
    folder, now = folder_of(context.fleet.path), utc_now()
    path = report_path(folder, drill)
    if not is_id(drill) or not path.is_file():
        raise UsageError("no such drill", where=drill, next="rackwright drill history")
    signers = keep_signers(context.fleet, now)
    chain = examine(folder, signers, drill_pages, upto=drill, fleet=context.fleet.file.fleet)
    report = chain.examined[-1].report
    if not chain.sound or report is None:
        raise ProofError("the evidence isn't sound", where=drill, next=f"rackwright drill verify {path}")
    key = signing_key(signers, sign_with, now, purpose=REVIEW, besides=report.signer)
    done = sign_off(folder, report, key, signers, note, closed)
    context.answer(done.model_dump(mode="json"), f"{drill}: reviewed by {done.reviewer}")


def _closed(texts: tuple[str, ...]) -> dict[int, str]:
    found: dict[int, str] = {}
    for text in texts:
        number, _, how = text.partition(":")
        if not (number.isascii() and number.isdigit()) or len(number) > 4 or not how.strip():
            raise UsageError(
                "isn't a closed finding", where=f"--close {text}", should="should be like 1:'bought disks'"
            )
        if int(number) in found:
            raise UsageError("closes the finding twice", where=f"--close {text}")
        found[int(number)] = how.strip()
    return found

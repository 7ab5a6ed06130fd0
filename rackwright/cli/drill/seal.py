"""`rackwright drill seal`: a report for a drill that was killed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from rackwright.cli.common.context import Context
from rackwright.cli.common.options import Command, common_options, pass_context
from rackwright.cli.drill.options import sign_with_option
from rackwright.errors import ExitCode, UsageError


@click.command(cls=Command)
@click.argument("drill", metavar="ID")
@sign_with_option
@common_options
@pass_context
def seal(context: Context, drill: str, sign_with: Path | None) -> int:
    """Seal what a killed drill left, as a drill that didn't pass. `drill history` names such drills.

    Exit code 12 when it is sealed: it proves nothing.
    """
    from rackwright.cli.render.drill_pages import drill_pages
    from rackwright.lifecycle.drill.evidence import seal as sealing
    from rackwright.lifecycle.drill.evidence.folder import folder_of
    from rackwright.lifecycle.drill.evidence.signers import keep_signers
    from rackwright.lifecycle.drill.evidence.signing_key import signing_key
    from rackwright.lifecycle.drill.evidence.tool_key import tool_key
    from rackwright.state.formats import utc_now

    folder, now = folder_of(context.fleet.path), utc_now()
    left = next((one for one in sealing.drafts(folder) if one.facts.drill == drill), None)
    if left is None:
        raise UsageError("left nothing to seal", where=drill, next="rackwright drill history")
    signers = keep_signers(context.fleet, now)
    why = left.facts.error or "it was killed; its draft was sealed later"
    with tool_key(context.fleet) as own:
        key = signing_key(signers, sign_with or own, now)
        done = sealing.seal(folder, replace(left.facts, error=why), key, signers, drill_pages)
    context.answer(
        {"path": str(done.path), "sha256": done.sha256, "doubts": list(done.doubts)},
        f"{done.path}: sealed as not passed, sha256 {done.sha256}",
        *(f"  not proven: {doubt}" for doubt in done.doubts),
    )
    return ExitCode.NOT_PROVEN

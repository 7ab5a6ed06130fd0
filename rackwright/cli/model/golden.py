"""`rackwright model golden`: check the file of a golden set and show what is in it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from rackwright.cli.common.context import Context
from rackwright.cli.common.options import Command, json_option, pass_context


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@json_option
@pass_context
def golden(context: Context, file: Path) -> None:
    """Check a golden set: each line of FILE is a prompt with its check. Asks no model and reads no fleet file."""
    from rackwright.fleet.golden.golden_file import read_golden_set
    from rackwright.fleet.golden.golden_set import LEAST
    from rackwright.report.words import counted

    found = read_golden_set(file)
    checks = Counter(prompt.check.kind for prompt in found.prompts)
    with_format = sum(prompt.check.has_format for prompt in found.prompts)
    kinds = ", ".join(f"{count} {kind}" for kind, count in checks.most_common())
    document = {
        "file": str(file),
        "digest": found.digest,
        "prompts": len(found.prompts),
        "checks": dict(checks.most_common()),
        "with_format": with_format,
    }
    number = counted(len(found.prompts), "prompt")
    lines = [f"{file}: {number} ({kinds}), {with_format} with a format; sha256 {found.digest}"]
    if with_format < LEAST:
        lines.append(f"valid formats are not compared: {with_format} of the {LEAST} prompts that are needed")
    context.answer(document, *lines)

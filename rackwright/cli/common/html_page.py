"""The option --html or --out, and the page that it names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import Any

import click

from rackwright.cli.common.context import Context
from rackwright.errors import UsageError


def html_option(what: str, name: str = "--html") -> Callable[[Any], Any]:
    """Return the decorator for `html: Path | None`. Its folder must exist before anything else is done."""
    return click.option(
        name,
        metavar="FILE",
        type=click.Path(dir_okay=False, path_type=Path),
        callback=_in_a_folder,
        help=f"Also write {what} as an HTML page.",
    )


def write_page(context: Context, path: Path, text: str) -> None:
    """Write the page in place of an older one, which stays if this fails, and say so. Raise OSError if it fails."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)
    context.note(f"written to {path}")


def _in_a_folder(_: click.Context, option: click.Parameter, path: Path | None) -> Path | None:
    if path and not path.parent.is_dir():
        raise UsageError(
            "its folder doesn't exist", where=f"--{option.name} {path}", next=f"mkdir -p {quote(str(path.parent))}"
        )
    return path

"""`rackwright init`: a fleet file to start from."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import click

from rackwright.cli.common.context import Context
from rackwright.cli.common.options import Command, common_options, pass_context
from rackwright.errors import RackwrightError

GITIGNORE = """\
# Commit all files next to the fleet file that rackwright writes, except this one: it is in use only during an update.
*.lock.next
# Secrets that the fleet file refers to, for example "file:secrets/hub-token".
secrets/
*.key
"""


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path), required=False)
@common_options
@pass_context
def init(context: Context, file: Path | None) -> None:
    """Write a commented fleet file to start from.

    Without FILE, it writes to the path of --fleet. If the folder has no .gitignore, it writes one that keeps secrets
    out of git. It never overwrites a file.
    """
    path = file or context.path
    write_example(path)
    ignored = write_gitignore(path.parent)
    next_ = f"next: edit it, then rackwright -f {path} check --offline"
    lines = [f"{one} written." for one in (path, ignored) if one]
    context.answer({"written": str(path), "gitignore": ignored and str(ignored)}, *lines, next_)


def write_example(path: Path) -> None:
    """Write the example with every option to the path. Raise RackwrightError if the path exists."""
    example = files("rackwright").joinpath("example.yml").read_text(encoding="utf-8")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(example)
    except FileExistsError:
        raise RackwrightError(
            "the file already exists",
            where=str(path),
            should="init never overwrites a file",
            next="rackwright check --offline",
        ) from None


def write_gitignore(folder: Path) -> Path | None:
    """Write a .gitignore for the folder of a fleet file and return its path; None: there is one already."""
    path = folder / ".gitignore"
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(GITIGNORE)
    except FileExistsError:
        return None
    return path

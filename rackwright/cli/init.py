"""`rackwright init`: a fleet file to start from."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import click

from rackwright.cli.common.context import Context
from rackwright.cli.common.options import Command, common_options, pass_context
from rackwright.errors import RackwrightError


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path), required=False)
@common_options
@pass_context
def init(context: Context, file: Path | None) -> None:
    """Write a commented fleet file to start from.

    FILE is the fleet file of --fleet when absent. A file that exists is left as it is.
    """
    path = file or context.path
    write_example(path)
    context.answer(
        {"written": str(path)}, f"{path} written.\nnext: edit it, then rackwright -f {path} check --offline"
    )


def write_example(path: Path) -> None:
    """Write the example with every option to the path. Raise RackwrightError if a file is there."""
    example = files("rackwright").joinpath("example.yml").read_text(encoding="utf-8")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(example)
    except FileExistsError:
        raise RackwrightError(
            "there is a file already",
            where=str(path),
            should="init overwrites nothing",
            next="rackwright check --offline",
        ) from None

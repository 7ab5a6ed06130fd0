"""Jinja for configuration files: an undefined value is an error, lines of control vanish."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from rackwright import __version__
from rackwright.cache import cache_folder

if TYPE_CHECKING:
    from jinja2 import BytecodeCache, Environment
    from jinja2.bccache import Bucket

_HERE = Path(__file__).parent / "templates"


def render(folder: Path, template: str, **values: object) -> str:
    """Return the template of this folder, or of the shared ones, with the values filled in."""
    return _environment(folder).get_template(template).render(**values)


@cache
def _environment(folder: Path) -> Environment:
    """It keeps its templates: they are compiled once, however many hosts there are."""
    # Jinja takes its time to import, and most commands render nothing.
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, _HERE]),
        bytecode_cache=_compiled(),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 — configuration files, not HTML
    )


def _compiled() -> BytecodeCache | None:
    """Where templates are kept as compiled: to compile them takes longer than to fill them in."""
    from jinja2 import FileSystemBytecodeCache

    class Kept(FileSystemBytecodeCache):
        def dump_bytecode(self, bucket: Bucket) -> None:
            # A disk that is full costs only the speed.
            with suppress(OSError):
                super().dump_bytecode(bucket)

    folder = cache_folder("templates")
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        about = folder.stat()
        # What stands there is run: nobody else may have put it there, also where root has somebody's home.
        if about.st_uid == os.geteuid() and not about.st_mode & 0o022:
            return Kept(str(folder), f"{__version__}-%s")
    return None

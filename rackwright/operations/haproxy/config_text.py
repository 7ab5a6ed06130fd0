"""Jinja for configuration files: an undefined value is an error, and lines with only control tags are removed."""

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
    """Return the template from this folder, or from the shared templates, with the values filled in."""
    return _environment(folder).get_template(template).render(**values)


@cache
def _environment(folder: Path) -> Environment:
    """Return the folder's environment, which compiles each template only once, for any number of hosts."""
    # Importing Jinja takes time, and most commands render nothing.
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
    """Return the cache of compiled templates, because compiling takes longer than filling in."""
    from jinja2 import FileSystemBytecodeCache

    class Kept(FileSystemBytecodeCache):
        def dump_bytecode(self, bucket: Bucket) -> None:
            # If the disk is full, the next run is only slower.
            with suppress(OSError):
                super().dump_bytecode(bucket)

    folder = cache_folder("templates")
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        about = folder.stat()
        # The files are executed, so only this user may write to the folder, even if root uses another user's home.
        if about.st_uid == os.geteuid() and not about.st_mode & 0o022:
            return Kept(str(folder), f"{__version__}-%s")
    return None

"""The key with which the tool on a control host signs its drills' reports."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.secrets import resolve
from rackwright.lifecycle.backup.private_folder import private_folder
from rackwright.values.tool_mode import in_tool_mode


@contextmanager
def tool_key(fleet: Fleet) -> Iterator[Path | None]:
    """Yield a file with the tool's key if this is the tool on a control host; else None: a person has their own.

    The file exists during the block, in a folder that nobody else can enter. Raise SecretError if there is no key.
    """
    reference = fleet.file.unattended.key
    if not in_tool_mode() or reference is None:
        yield None
        return
    key = resolve(reference, where=f"{fleet.path} unattended.key", folder=fleet.path.parent)
    with private_folder() as folder:
        path = folder / "key"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(f"{key.reveal()}\n")
        yield path

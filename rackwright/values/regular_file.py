"""Files on the controller that are opened only if they are regular files."""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading. Raise OSError if it can't be opened or is no regular file.

    A device or a FIFO isn't even opened: that could have an effect, or wait forever.
    """
    _require_regular(path.stat())
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        # It may have been exchanged since.
        _require_regular(os.fstat(descriptor))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _require_regular(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "is not a regular file")


def has_size(path: Path, size: int) -> bool:
    """Return whether a regular file of this size is there, and can be read."""
    try:
        with open_regular(path) as stream:
            return stream.seek(0, io.SEEK_END) == size
    except OSError:
        return False

"""Paths on hosts and on the controller."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import AfterValidator

import rackwright._fast_imports  # noqa: F401
from rackwright.values.text import one_line


def _host_path(text: str) -> str:
    path = PurePosixPath(one_line(text))
    if not path.is_absolute() or ".." in path.parts:
        raise ValueError("should be an absolute path without ..")
    if not re.fullmatch(r"[A-Za-z0-9/._@+-]+", text):
        raise ValueError("should have only letters, digits and / . _ - @ +")
    return str(path)


def _relative_path(text: str) -> str:
    path = PurePosixPath(one_line(text))
    if path.is_absolute() or ".." in path.parts or text in ("", "."):
        raise ValueError("should be a relative path without ..")
    return str(path)


def _no_option(text: str) -> str:
    if any(part.startswith("-") for part in PurePosixPath(text).parts):
        raise ValueError("should have no name that begins with a dash: programs take it for an option")
    return text


def _controller_path(text: str) -> str:
    if not one_line(text).strip():
        raise ValueError("is empty; should be the path of a file")
    if text.startswith("~"):
        try:
            Path(text).expanduser()
        except RuntimeError:
            raise ValueError("begins with ~ and no known user's name; write the whole path") from None
    return text


HostPath = Annotated[str, AfterValidator(_host_path)]
RelativePath = Annotated[str, AfterValidator(_relative_path)]
StoredPath = Annotated[RelativePath, AfterValidator(_no_option)]
"""A file of a model or runtime, below a folder on a host."""
ControllerPath = Annotated[str, AfterValidator(_controller_path)]
"""A file on the controller; a relative path starts at the fleet file's folder."""

"""Values with two permitted forms. The form alone selects the branch, so that errors are about the intended one."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Discriminator, Field, Tag

from rackwright.values.text import Name


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)


def _is_mapping(value: object) -> bool:
    return isinstance(value, dict | BaseModel)


TEXT_OR_LIST = Discriminator(lambda value: "list" if _is_list(value) else "text")
TEXT_OR_MAPPING = Discriminator(lambda value: "mapping" if _is_mapping(value) else "text")
MAPPING_OR_LIST = Discriminator(lambda value: "list" if _is_list(value) else "mapping")

SYSTEM_FOLDERS = frozenset("bin boot dev etc home lib lib64 proc root run sbin sys tmp usr".split())
"""Folders of / that are not for data, or that are hidden from services."""

Hosts = Annotated[
    Annotated[Name, Tag("text")] | Annotated[tuple[Name, ...], Field(min_length=1), Tag("list")], TEXT_OR_LIST
]
"""A group, a host, or a list of them."""

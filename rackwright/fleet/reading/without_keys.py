"""Remove keys from the text of a YAML file. Everything else stays as it is written, with its comments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ruamel.yaml.nodes import MappingNode, Node

Path = tuple[str, ...]


def without(text: str, paths: Iterable[Path]) -> str:
    """Return the text without these keys and their values; a mapping that has no other key goes, too.

    A path that the text doesn't have changes nothing. Raise ValueError if the text isn't YAML.
    """
    for path in paths:
        found = _found(text, path)
        while found and len(found[0].value) == 1 and len(path) > 1:
            path = path[:-1]
            found = _found(text, path)
        if found:
            start, end = _part(text, *found)
            text = text[:start] + text[end:]
    return text


def _part(text: str, mapping: MappingNode, place: int) -> tuple[int, int]:
    """Return where the key's part of the text begins and ends."""
    if mapping.flow_style:
        return _in_braces(mapping, place)
    key, value = mapping.value[place]
    end = text.find("\n", _end(key, value))
    return text.rfind("\n", 0, key.start_mark.index) + 1, len(text) if end < 0 else end + 1


def _in_braces(mapping: MappingNode, place: int) -> tuple[int, int]:
    """Return the part with the key and the comma after it, or before it if it is the last one."""
    key, value = mapping.value[place]
    if place + 1 < len(mapping.value):
        return key.start_mark.index, mapping.value[place + 1][0].start_mark.index
    if place:
        return _end(*mapping.value[place - 1]), _end(key, value)
    return key.start_mark.index, _end(key, value)


def _end(key: Node, value: Node) -> int:
    """Return where the value ends. The mark of a block is behind the comments that follow it."""
    from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

    if isinstance(value, ScalarNode) and value.style in ("|", ">"):
        return int(value.end_mark.index) - 1
    if isinstance(value, MappingNode) and not value.flow_style and value.value:
        return _end(*value.value[-1])
    if isinstance(value, SequenceNode) and not value.flow_style and value.value:
        return _end(key, value.value[-1])
    if not isinstance(value, ScalarNode):
        return int(value.end_mark.index)
    # A value that is missing begins and ends at the next key.
    return int(value.end_mark.index if value.value or value.style else key.end_mark.index)


def _found(text: str, path: Path) -> tuple[MappingNode, int] | None:
    """Return the mapping that has the path's last key, and the key's place in it."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError
    from ruamel.yaml.nodes import MappingNode

    try:
        node = YAML(pure=True).compose(text)
    except YAMLError:
        raise ValueError("isn't YAML") from None
    for number, name in enumerate(path):
        if not isinstance(node, MappingNode):
            return None
        place = next((index for index, (key, _) in enumerate(node.value) if key.value == name), None)
        if place is None:
            return None
        if number == len(path) - 1:
            return node, place
        node = node.value[place][1]
    return None

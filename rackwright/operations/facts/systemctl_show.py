"""Parser for the output of systemctl show about several units, without pyinfra."""

from __future__ import annotations

from collections.abc import Iterable


def shown_units(output: Iterable[str]) -> dict[str, dict[str, str]]:
    """Given the output of `systemctl show -p Id,…` for several units, return each unit's properties by its Id."""
    # systemctl sets the order of keys in a block, so a repeated key starts the next unit's block.
    blocks: list[dict[str, str]] = [{}]
    for key, separator, value in (line.partition("=") for line in output):
        if key in blocks[-1]:
            blocks.append({})
        if separator:
            blocks[-1][key] = value
    return {block["Id"]: block for block in blocks if "Id" in block}

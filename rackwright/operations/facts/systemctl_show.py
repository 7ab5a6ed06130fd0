"""What systemctl shows of several units, read without pyinfra."""

from __future__ import annotations

from collections.abc import Iterable


def shown_units(output: Iterable[str]) -> dict[str, dict[str, str]]:
    """Given what `systemctl show -p Id,…` printed for several units, return each one's properties by its Id."""
    # The order within a block is systemctl's own: a key that comes again begins the next unit's.
    blocks: list[dict[str, str]] = [{}]
    for key, separator, value in (line.partition("=") for line in output):
        if key in blocks[-1]:
            blocks.append({})
        if separator:
            blocks[-1][key] = value
    return {block["Id"]: block for block in blocks if "Id" in block}

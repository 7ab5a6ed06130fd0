"""A table as plain text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rackwright.terminal import visible


def table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Given rows with the same number of cells, the header first, yield a line for each, with aligned columns."""
    shown = [tuple(map(visible, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        yield "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()

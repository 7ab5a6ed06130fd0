"""Whose requests leave the queue first."""

from __future__ import annotations

from typing import Literal

Priority = Literal["high", "normal", "low"]
NUMBERS: dict[Priority, int] = {"high": -10, "normal": 0, "low": 10}
"""As HAProxy and vLLM take them: the lowest number first."""

"""Who answers a request."""

from __future__ import annotations

from typing import Literal

Side = Literal["cloud", "fleet"]

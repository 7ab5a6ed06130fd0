"""Whether the kernel of the next boot has the driver."""

from __future__ import annotations

import shlex

from pyinfra.api.facts import FactBase


class BootGuard(FactBase[str | None]):
    """Given the guard's path, return why the newest kernel can't drive the GPUs; None: it can, or no guard."""

    def command(self, path: str) -> str:
        return f"[ ! -x {shlex.quote(path)} ] || {shlex.quote(path)} ask 2>&1 || true"

    @staticmethod
    def default() -> str | None:
        return None

    def process(self, output: list[str]) -> str | None:
        return next((line for line in output if line.startswith("kernel ")), None)

"""The network interface that has an address."""

from __future__ import annotations

import shlex

from pyinfra.api.facts import FactBase


class InterfaceOf(FactBase[str]):
    """Given an address, return the interface that has it; empty if none has it."""

    def command(self, address: str) -> str:
        return f"ip -o addr show to {shlex.quote(address)} | awk '{{ print $2; exit }}'"

    @staticmethod
    def default() -> str:
        return ""

    def process(self, output: list[str]) -> str:
        return output[0].strip() if output else ""

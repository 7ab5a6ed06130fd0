"""Which Debian packages are installed."""

from __future__ import annotations

import shlex

from pyinfra.api.facts import FactBase


class InstalledPackages(FactBase[frozenset[str]]):
    """Given package names, return those that are installed and configured."""

    def command(self, packages: tuple[str, ...]) -> str:
        listed = " ".join(shlex.quote(package) for package in packages)
        return f"dpkg-query -W -f '${{db:Status-Status}} ${{Package}}\\n' -- {listed} 2>/dev/null || true"

    @staticmethod
    def default() -> frozenset[str]:
        return frozenset()

    def process(self, output: list[str]) -> frozenset[str]:
        return frozenset(line.split()[1] for line in output if line.startswith("installed "))

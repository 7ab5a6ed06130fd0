"""Which Debian packages are installed."""

from __future__ import annotations

from pyinfra.api.facts import FactBase


class InstalledPackages(FactBase[frozenset[str]]):
    """Return the packages that are installed and configured: all, for every role asks the same question then."""

    def command(self) -> str:
        return "dpkg-query -W -f '${db:Status-Status} ${Package}\\n'"

    @staticmethod
    def default() -> frozenset[str]:
        return frozenset()

    def process(self, output: list[str]) -> frozenset[str]:
        return frozenset(line.split()[1] for line in output if line.startswith("installed "))

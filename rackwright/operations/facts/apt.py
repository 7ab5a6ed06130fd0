"""apt's effective settings from all its files."""

from __future__ import annotations

import re

from pyinfra.api.facts import FactBase

_LINE = re.compile(r'([A-Za-z0-9:./_-]+) "(.*)";')


class AptSettings(FactBase[dict[str, tuple[str, ...]]]):
    """Return key → values of apt-config(8) for keys that start with one of these words; a list's key ends with ::."""

    def command(self, words: tuple[str, ...]) -> str:
        return f"apt-config dump | grep -E '^({'|'.join(words)})' || true"

    @staticmethod
    def default() -> dict[str, tuple[str, ...]]:
        return {}

    def process(self, output: list[str]) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for line in output:
            if (match := _LINE.fullmatch(line)) and match[2]:
                found[match[1]] = (*found.get(match[1], ()), match[2])
        return found

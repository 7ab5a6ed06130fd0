"""Settings in drop-in files, in the order in which their program reads them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from pyinfra.api.facts import FactBase

_ROOTS = ("/etc", "/run", "/usr/local/lib", "/usr/lib")
"""A file hides files with the same name in later folders. systemd.unit(5), sysctl.d(5)"""
_HEADER = re.compile(r"==> (/.*\.conf) <==")


@dataclass(frozen=True)
class Assignment:
    """One `key = value` in a file. If a key is assigned several times, the last value counts."""

    file: str
    key: str
    value: str

    @property
    def name(self) -> str:
        """Return the file's name: files are read in the order of their names, across all folders."""
        return self.file.rpartition("/")[2]


class DropIns(FactBase[tuple[Assignment, ...]]):
    """Given a folder like "sysctl.d", return every assignment in its files below /etc, /run, /usr; the last wins."""

    def command(self, folder: str) -> str:
        files = " ".join(f"{root}/{shlex.quote(folder)}/*.conf" for root in _ROOTS)
        # One process. Empty files need a header, too: they hide others. "--" keeps tail from waiting for input.
        return f"tail -v -n +1 -- {files} 2>/dev/null || true"

    @staticmethod
    def default() -> tuple[Assignment, ...]:
        return ()

    def process(self, output: list[str]) -> tuple[Assignment, ...]:
        files: dict[str, tuple[Assignment, ...]] = {}
        for path, lines in _files(output):
            files.setdefault(path.rpartition("/")[2], tuple(_assignments(path, lines)))
        return tuple(one for name in sorted(files) for one in files[name])


def _files(output: list[str]) -> Iterator[tuple[str, list[str]]]:
    path, lines = "", list[str]()
    for line in output:
        if header := _HEADER.fullmatch(line):
            if path:
                yield path, lines
            path, lines = header[1], []
        else:
            lines.append(line)
    if path:
        yield path, lines


def _assignments(path: str, lines: list[str]) -> Iterator[Assignment]:
    for line in lines:
        key, separator, value = line.partition("=")
        if separator and not line.lstrip().startswith(("#", ";")):
            yield Assignment(path, key.strip(), value.strip())

"""The text that people see before they log in, in place of the distribution's own."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Generator

from pyinfra.api.command import PyinfraCommand, StringCommand
from pyinfra.api.facts import FactBase
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.diff import show
from rackwright.operations.facts.path_state import PathState
from rackwright.operations.filesystem.file import difference, write

ISSUE_NET = "/etc/issue.net"
"""sshd shows it; agetty shows the other one."""
ISSUES = ("/etc/issue", ISSUE_NET)
_ORIGINAL = ".rackwright-original"


class Diverted(FactBase[frozenset[str]]):
    """Return which of the distribution's files are diverted by rackwright."""

    def command(self) -> str:
        return (
            f"for f in {' '.join(ISSUES)}; do "
            f'if [ "$(dpkg-divert --truename "$f")" = "$f{_ORIGINAL}" ]; then echo "$f"; fi; done'
        )

    @staticmethod
    def default() -> frozenset[str]:
        return frozenset()

    def process(self, output: list[str]) -> frozenset[str]:
        return frozenset(output)


@operation()
def banner(*, text: str | None) -> Generator[PyinfraCommand]:
    """Ensure that this text is shown before logins; without a text, that the original files are back.

    dpkg keeps the originals next to them, so an update of the distribution neither asks nor replaces the text.
    """
    diverted = host.get_fact(Diverted)
    steps, shown = list[PyinfraCommand](), list[str]()
    for path in ISSUES:
        divert = f"dpkg-divert --quiet --local --rename --divert {shlex.quote(path + _ORIGINAL)}"
        if text is None and path in diverted:
            shown.append(f"{path}: the original is back")
            steps.append(StringCommand(f"rm -f -- {path} && {divert} --remove {path}"))
        if text is not None and path not in diverted:
            # `write` leaves a file alone that has this text already, so the file must stay there.
            copy = f"{{ [ ! -e {path}{_ORIGINAL} ] || cp -p -- {path}{_ORIGINAL} {path}; }}"
            steps.append(StringCommand(f"{divert} --add {path} && {copy}"))
            shown.append(f"{path}: the original is kept next to it")
        if text is not None:
            shown += _difference(path, text)
            steps += write(path=path, content=text)
    # An operation has one diff, and a plan stops at the first command.
    if shown:
        show("\n".join(shown))
    yield from steps


def _difference(path: str, text: str) -> list[str]:
    digest = hashlib.sha256(text.encode()).hexdigest()
    found = host.get_fact(PathState, path=path, unless=digest)
    return [] if found and found.sha256 == digest else [difference(path, found, text.encode())]

"""Units and users that earlier runs left on the host."""

from __future__ import annotations

from pyinfra.api.facts import FactBase


class _Names(FactBase[tuple[str, ...]]):
    @staticmethod
    def default() -> tuple[str, ...]:
        return ()

    def process(self, output: list[str]) -> tuple[str, ...]:
        return tuple(sorted(output))


class OurUnits(_Names):
    """Return every unit file in /etc/systemd/system that is named rackwright-*."""

    def command(self) -> str:
        return (
            "find /etc/systemd/system -maxdepth 1 -type f -regextype posix-extended "
            "-regex '.*/rackwright-[^/]*[.](service|timer|socket|path|target|slice)' -printf '%f\\n'"
        )


class OurUsers(_Names):
    """Return every user named rw-* whose comment says that we made it."""

    def command(self) -> str:
        return """getent passwd | awk -F: '$1 ~ /^rw-/ && $5 ~ /^rackwright(,|$)/ { print $1 }'"""

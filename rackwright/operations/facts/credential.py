"""Digests of a host's decrypted credentials."""

from __future__ import annotations

import shlex

from pyinfra.api.facts import FactBase


class CredentialDigests(FactBase[dict[str, str]]):
    """Given (path, name) of credentials, return the sha256 of each content by path.

    For a credential that can't be decrypted, it is the sha256 of nothing.
    """

    def command(self, wanted: tuple[tuple[str, str], ...]) -> str:
        each = " ".join(f"{shlex.quote(path)} {shlex.quote(name)}" for path, name in wanted)
        return (
            f'set -- {each}; while [ $# -gt 0 ]; do if [ -f "$1" ]; then '
            'd=$(systemd-creds decrypt --name="$2" -- "$1" - 2>/dev/null | sha256sum) && echo "${d%% *} $1"; '
            "fi; shift 2; done; true"
        )

    @staticmethod
    def default() -> dict[str, str]:
        return {}

    def process(self, output: list[str]) -> dict[str, str]:
        return {path: digest for digest, _, path in (line.partition(" ") for line in output)}

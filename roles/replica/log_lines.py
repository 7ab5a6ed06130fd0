"""The lines that an engine's unit may log before the engine runs: those of systemd's executor and of ExecStartPre=.

systemd's manager logs about a unit, too; these lines aren't filtered.
"""

from __future__ import annotations

import re

from rackwright.values.log_lines import ERROR, WORD

_PATH = r"[\w./@+-]{1,200}"
_STEP = (
    "set up (?:mount namespacing|network namespacing|IPC namespacing|special execution directory in|credentials"
    "|standard (?:input|output|error output)|user namespacing|kernel keyring)",
    "determine (?:user|group) credentials",
    "load environment files",
    "attach to cgroup",
    "execute",
)
_ADDRESS = "[0-9a-f.:/]{2,43}"
_SHELL = (
    rf"(?:/bin/)?sh: \d{{1,3}}: cannot (?:open|create) {_PATH}: (?:No such file|Directory nonexistent|{ERROR})",
    f"(?:sha256sum|cat|ip): (?:{_PATH}: )?{ERROR}",
    f"no interface has {_ADDRESS}",
    f"{WORD} has another address before {_ADDRESS}",
)


def log_lines(unit: str) -> tuple[str, ...]:
    """Return the expressions of all lines that a unit may log before its engine runs."""
    name = re.escape(unit)
    return (
        rf"{name}: Failed at step [A-Z0-9_]{{1,24}} spawning {_PATH}: {ERROR}",
        rf"{name}: Failed to (?:{'|'.join(_STEP)})(?:(?:: | ){_PATH})?: {ERROR}",
        rf"{name}: Unable to locate executable '{_PATH}': {ERROR}",
        *_SHELL,
    )

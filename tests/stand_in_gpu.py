"""Stand-ins for nvidia-smi and lspci, as shell programs for /usr/local/bin of a host that has no GPU.

They answer what rackwright asks and nothing else: nvidia-smi `-q -x` and `-L`, lspci `-Dnn`. Neither uses a GPU.
"""

from __future__ import annotations

_STAND_IN = "#!/bin/sh\n# A stand-in of rackwright's tests, not {name}: it prints a fixture and knows no GPU.\n"
_END = "end of what is printed"


def nvidia_smi(report: str, *, listing: str = "", code: int = 0) -> str:
    """Return a program that prints `report` for `-q -x` and `listing` for `-L`, then exits with `code`."""
    return (
        f"{_STAND_IN.format(name='nvidia-smi')}"
        f'case "$*" in\n"-q -x")\n{_print(report)};;\n-L)\n{_print(listing)};;\n'
        '*) echo "stand-in: nvidia-smi $* is not known" >&2; exit 2;;\nesac\n'
        f"exit {code}\n"
    )


def lspci(listing: str) -> str:
    """Return a program that prints `listing` for `-Dnn`."""
    return (
        f"{_STAND_IN.format(name='lspci')}"
        f'[ "$*" = -Dnn ] || {{ echo "stand-in: lspci $* is not known" >&2; exit 2; }}\n{_print(listing)}'
    )


def _print(text: str) -> str:
    ended = text if not text or text.endswith("\n") else f"{text}\n"
    return f"cat <<'{_END}'\n{ended}{_END}\n"

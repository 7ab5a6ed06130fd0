"""What a host is made of, and what its engines have of it."""

from __future__ import annotations

from pyinfra.api.facts import FactBase

from rackwright.hardware.hardware import COMMAND, Hardware, parse_hardware


class HostHardware(FactBase[Hardware]):
    """Return the host's hardware: one question for all roles."""

    def command(self) -> str:
        return COMMAND

    @staticmethod
    def default() -> Hardware:
        return Hardware()

    def process(self, output: list[str]) -> Hardware:
        return parse_hardware("\n".join(output) + "\n")


class GpuFiles(FactBase[dict[str, str]]):
    """Return each file that names an engine's GPUs, and its text: drop-ins, and what running ones were started with.

    The latter stand in a folder of the engine's own: only the beginning of a plain file is read there.
    """

    def command(self) -> str:
        files = "/etc/systemd/system/rackwright-*@*.service.d/gpus.conf /run/rackwright/*@*/gpus.conf"
        return (
            f'for f in {files}; do if [ -f "$f" ] && [ ! -L "$f" ]; then '
            'echo "==> $f"; head -c 4000 -- "$f" | grep -v "^==>"; echo; fi; done'
        )

    @staticmethod
    def default() -> dict[str, str]:
        return {}

    def process(self, output: list[str]) -> dict[str, str]:
        files: dict[str, list[str]] = {}
        lines: list[str] = []
        for line in output:
            if line.startswith("==> "):
                lines = files.setdefault(line[4:], [])
            else:
                lines.append(line)
        return {path: "\n".join(lines) for path, lines in files.items()}

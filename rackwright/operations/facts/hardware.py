"""A host's hardware, and the parts of it that its engines use."""

from __future__ import annotations

from pyinfra.api.facts import FactBase

from rackwright.hardware.hardware import COMMAND, Hardware, parse_hardware


class HostHardware(FactBase[Hardware]):
    """Return the host's hardware. All roles share this one question."""

    def command(self) -> str:
        return COMMAND

    @staticmethod
    def default() -> Hardware:
        return Hardware()

    def process(self, output: list[str]) -> Hardware:
        return parse_hardware("\n".join(output) + "\n")


class GpuFiles(FactBase[dict[str, str]]):
    """Return the path and text of each file with an engine's GPUs: drop-ins, and the files of running engines."""

    def command(self) -> str:
        files = "/etc/systemd/system/rackwright-*@*.service.d/gpus.conf /run/rackwright-started/*@*/gpus.conf"
        return f'for f in {files}; do if [ -f "$f" ]; then echo "==> $f"; cat -- "$f"; echo; fi; done'

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

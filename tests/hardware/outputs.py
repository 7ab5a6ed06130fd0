"""The outputs in written/, and COMMAND's output made from them."""

from __future__ import annotations

from pathlib import Path

from rackwright.hardware.hardware import Hardware, parse_hardware

FOLDER = Path(__file__).parent / "written"
MARK = "0b5c3d1e-6f0a-4a52-9d37-2f1c8e7b9a64"


def output(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def printed(**parts: str) -> str:
    """Return what COMMAND prints: each part follows a line with the mark and the part's name."""
    return f"{MARK}\n" + "".join(f"{MARK} {name}\n{text}" for name, text in parts.items())


def hardware(machine: str, *, facts: str = "") -> Hardware:
    """Return a machine: h100, a100-mig, v100, blackwell, or mismatch: an H100 machine whose driver doesn't match."""
    if machine == "mismatch":
        loaded = "loaded 580.82.07\n"
        return parse_hardware(
            printed(facts=facts + loaded, lspci=output("h100-lspci.txt"), smi=f"{output('mismatch.txt')}rc 18\n")
        )
    parts = {"facts": facts, "smi": f"{output(f'{machine}.xml')}rc 0\n"}
    for part, name in (("lspci", "lspci"), ("log", "log"), ("instances", "list")):
        if (FOLDER / f"{machine}-{name}.txt").exists():
            parts[part] = output(f"{machine}-{name}.txt")
    return parse_hardware(printed(**parts))

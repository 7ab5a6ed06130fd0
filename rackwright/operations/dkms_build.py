"""The shell functions that build DKMS modules without installing them: for an installation, and for a trial."""

from __future__ import annotations

from pathlib import Path

DKMS_BUILD = (Path(__file__).parent / "dkms_build.sh").read_text()
"""`sources` and `builds`; they expect a folder in $work with the unpacked sources in root/usr/src."""

"""The script and its parts, as text. No pyinfra."""

from __future__ import annotations

from pathlib import Path

from rackwright.roles.boot.settings import SCRIPT

_TEMPLATES = Path(__file__).parent / "templates"
ALL = {
    f"{SCRIPT}.menu": (_TEMPLATES / "menu.sh").read_text(),
    f"{SCRIPT}.arm": (_TEMPLATES / "arm.sh").read_text(),
    SCRIPT: (_TEMPLATES / "one-boot.sh").read_text(),
}
"""Path → text, in the order in which they are written: the script needs its parts."""

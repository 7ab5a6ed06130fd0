"""The modules that run on a gateway, with the host's own Python: which, from where, and where they lie there.

They have the same names as here, so that they import each other in the same way. Python must not look for installed
packages (-S): a rackwright among them would come first.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path, PurePosixPath

import rackwright
from rackwright.roles.capture.settings import FOLDER

_ROOT = Path(rackwright.__file__).parents[1]
_PACKAGES = ("rackwright/migrate/redact", "rackwright/roles/capture/program")
START = "__main__.py"
"""What Python starts, if it is given the folder."""
SUMS = "modules.sha256"
"""Written last, next to START. Unless all modules have these sums, the unit doesn't start."""


def _shipped() -> dict[str, Path]:
    modules = [path for package in _PACKAGES for path in sorted((_ROOT / package).glob("*.py"))]
    return {START if path.name == START else path.relative_to(_ROOT).as_posix(): path for path in modules}


MODULES = _shipped()
"""Path in the folder on a gateway → file of this installation."""
FOLDERS = tuple(sorted({str(parent) for name in MODULES for parent in PurePosixPath(name).parents} - {"."}))
"""The folders within the folder, each before those within it."""


def sums() -> str:
    """Return each module's sha256 and path on a gateway, as `sha256sum --check` reads them."""
    return "".join(f"{sha256(path.read_bytes()).hexdigest()}  {FOLDER}/{name}\n" for name, path in MODULES.items())

"""Programs that run on hosts with the hosts' own Python: modules of this installation, copied file by file.

They have the same names there as here, so that they import each other in the same way. Python must not look for
installed packages (-S): a rackwright among them would come first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath

import rackwright
from rackwright.operations.filesystem.file import checked_file
from rackwright.operations.filesystem.folder import folder
from rackwright.operations.filesystem.others_absent import others_absent

START = "__main__.py"
"""What Python starts, if it is given the folder."""
SUMS = "modules.sha256"
"""Written last, next to START. A unit doesn't start its program unless all modules have these sums."""
LOG_PROGRAM = "rackwright/operations/log_program"
"""The package that the programs share that read a gateway's access log."""
_ROOT = Path(rackwright.__file__).parents[1]
_SYNTAX = "python3 -I -c 'import ast, sys; ast.parse(open(sys.argv[1]).read())' {path}"


@dataclass(frozen=True)
class Shipped:
    """A program: where it lies on a host, and the packages of which it consists."""

    folder: str
    packages: tuple[str, ...]

    @property
    def modules(self) -> Mapping[str, Path]:
        """Path in the folder on a host → file of this installation."""
        found = [path for package in self.packages for path in sorted((_ROOT / package).glob("*.py"))]
        return {START if path.name == START else path.relative_to(_ROOT).as_posix(): path for path in found}

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders within the folder, each before those within it."""
        within = {str(parent) for name in self.modules for parent in PurePosixPath(name).parents}
        return tuple(sorted(within - {"."}))

    @property
    def sums(self) -> str:
        """Each module's sha256 and path on a host, as `sha256sum --check` reads them."""
        found = self.modules.items()
        return "".join(f"{sha256(path.read_bytes()).hexdigest()}  {self.folder}/{name}\n" for name, path in found)


def program(shipped: Shipped, *, others: tuple[str, ...] = ()) -> None:
    """Write the program's modules and their sums, and remove what else is in its folder, except for `others`.

    The folder itself must exist. A module of an earlier version could be imported, and so could a compiled one.
    """
    for name in shipped.folders:
        folder(name=f"Make the folder {name}", path=f"{shipped.folder}/{name}")
    for name, source in shipped.modules.items():
        content = source.read_text(encoding="utf-8")
        checked_file(name=f"Write {name}", path=f"{shipped.folder}/{name}", content=content, check=_SYNTAX)
    # Modules of two versions together could do what neither does.
    checked_file(name=f"Write {SUMS}", path=f"{shipped.folder}/{SUMS}", content=shipped.sums)
    keep = (*shipped.modules, SUMS, *others)
    others_absent(name="Remove other files of the program", folder=shipped.folder, keep=keep)

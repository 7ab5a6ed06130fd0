"""`make clean`: remove the quick start's lab and, if no other lab uses them, the image and the downloads."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from rackwright.errors import RackwrightError
from rackwright.lab import cgroups, copies, fleet_file, image, paths, programs
from rackwright.lab.hosts import Lab, list_labs
from rackwright.terminal import echo


def main() -> int:
    fleet_file.remove(Path("inventory/lab.yml"))
    if programs.missing():
        return 0
    try:
        Lab("lab").down()
    except RackwrightError as error:
        for problem in error.problems:
            echo(*problem.lines("error: "), err=True)
        return int(error.exit_code)
    others = list_labs()
    if others:
        echo(f"image and downloads are kept: in use by {', '.join(others)}")
        return 0
    copies.remove_all()
    image.remove_all()
    shutil.rmtree(paths.cache(), ignore_errors=True)
    shutil.rmtree(paths.labs(), ignore_errors=True)
    cgroups.remove()
    return 0


if __name__ == "__main__":
    sys.exit(main())

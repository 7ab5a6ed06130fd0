"""The CUDA toolkit, for your own programs; runtimes bring the CUDA libraries that they need."""

from __future__ import annotations

from rackwright.package_set import PackageSet
from rackwright.values.base import Frozen
from rackwright.values.text import Line


class Settings(Frozen):
    version: Line
    set: PackageSet

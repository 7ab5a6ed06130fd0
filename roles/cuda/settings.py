"""The CUDA toolkit, for programs of the site's own: runtimes bring what they need."""

from __future__ import annotations

from rackwright.package_set import PackageSet
from rackwright.values.base import Frozen
from rackwright.values.text import Line


class Settings(Frozen):
    version: Line
    set: PackageSet

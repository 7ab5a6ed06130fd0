"""Imports pyinfra without typeguard, packaging and importlib.metadata, which take longer to import than its core.

typeguard checks the arguments of operations, which mypy has already checked in our deploys. packaging is for
settings such as `REQUIRE_PACKAGES` in a pyinfra configuration file, which we don't have. importlib.metadata finds
connectors in other packages, and we use only our own.
"""

from __future__ import annotations

from importlib import import_module

from rackwright._fast_imports import stubbed

with stubbed(
    importlib__metadata={"entry_points": lambda **_: (), "version": lambda _: "3"},
    typeguard={"check_type": lambda value, _: value, "TypeCheckError": TypeError},
    packaging={},
    packaging__markers={"Marker": None},
    packaging__requirements={"Requirement": None},
    packaging__specifiers={"SpecifierSet": None},
    packaging__version={"Version": None},
):
    import_module("pyinfra.api")

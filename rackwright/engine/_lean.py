"""pyinfra without typeguard, packaging and what reads installed packages: a tenth of a short command's time.

typeguard would check the arguments of our own deploys, which mypy has checked; packaging serves `REQUIRE_PACKAGES`
and its like in a configuration file of pyinfra's, which we don't have; and we have no connectors but our own.
"""

from __future__ import annotations

from importlib import import_module

from rackwright._lean import standing_in

with standing_in(
    importlib__metadata={"entry_points": lambda **_: (), "version": lambda _: "3"},
    typeguard={"check_type": lambda value, _: value, "TypeCheckError": TypeError},
    packaging={},
    packaging__markers={"Marker": None},
    packaging__requirements={"Requirement": None},
    packaging__specifiers={"SpecifierSet": None},
    packaging__version={"Version": None},
):
    import_module("pyinfra.api")

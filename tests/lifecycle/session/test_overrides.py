from __future__ import annotations

import pytest

from rackwright.lifecycle.session.overrides import Override, parse_overrides

UNITS = "/etc/systemd/system"


def found(unit: str, drop_ins: str = "", fragment: str | None = None) -> tuple[str, ...]:
    shown = f"Id={unit}\nFragmentPath={fragment or f'{UNITS}/{unit}'}\nDropInPaths={drop_ins}\n"
    return tuple(one.file for one in parse_overrides(f"Id=rackwright-a.timer\nDropInPaths=\n{shown}"))


@pytest.mark.parametrize(
    ("unit", "drop_ins"),
    [
        ("rackwright-tiny@1.service", ""),
        ("rackwright-tiny@1.service", f"{UNITS}/rackwright-tiny@1.service.d/gpus.conf"),
        ("rackwright-gateway.service", "/usr/lib/systemd/system/service.d/10-timeout.conf"),
    ],
)
def test_what_rackwright_and_packages_wrote_is_no_override(unit: str, drop_ins: str) -> None:
    assert found(unit, drop_ins) == ()


@pytest.mark.parametrize(
    ("unit", "file"),
    [
        ("rackwright-tiny@1.service", f"{UNITS}/rackwright-tiny@1.service.d/override.conf"),
        ("rackwright-tiny@1.service", f"{UNITS}/rackwright-tiny@2.service.d/gpus.conf"),
        ("rackwright-tiny@1.service", "/run/systemd/system/rackwright-tiny@1.service.d/gpus.conf"),
        ("rackwright-gateway.service", f"{UNITS}/rackwright-gateway.service.d/gpus.conf"),
        ("rackwright-gateway.service", f"{UNITS}/service.d/all.conf"),
        ("rackwright-gateway.service", f"{UNITS}/rackwright-.service.d/ours.conf"),
    ],
)
def test_any_other_drop_in_is_named(unit: str, file: str) -> None:
    assert found(unit, file) == (file,)
    assert file in str(Override(unit, file))


def test_so_is_a_unit_file_in_the_place_of_ours() -> None:
    control = f"{UNITS}.control/rackwright-gateway.service"
    assert found("rackwright-gateway.service", fragment=control) == (control,)

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from rackwright.lifecycle.session.overrides import OVERRIDES_COMMAND, Override, parse_overrides

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


def test_it_asks_for_every_unit_that_runs_but_for_no_template_and_no_folder(tmp_path: Path) -> None:
    asked = {"rackwright-tiny@1.service", "rackwright-tiny-1.probe.timer", "run-rackwright.mount"}
    for name in (*asked, "rackwright-tiny-1.agent@.service", "rackwright-old.service.new", "ssh.service"):
        (tmp_path / name).touch()
    (tmp_path / "rackwright-tiny@1.service.d").mkdir()
    # A stand-in that prints its arguments.
    systemctl = tmp_path / "bin" / "systemctl"
    systemctl.parent.mkdir()
    systemctl.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    systemctl.chmod(0o755)
    done = subprocess.run(
        ["sh", "-eu", "-c", OVERRIDES_COMMAND.replace(UNITS, str(tmp_path))],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": f"{systemctl.parent}:{os.environ['PATH']}"},
    )
    assert set(done.stdout.splitlines()) == asked | {"show", "-p", "Id,FragmentPath,DropInPaths", "--"}

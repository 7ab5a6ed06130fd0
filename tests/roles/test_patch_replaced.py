"""The script that restarts services on replaced libraries, with stand-ins for needrestart and systemctl."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from rackwright.roles.patch.replaced import Replaced, parse_replaced, script
from rackwright.roles.tool.settings import BY_HAND, UNIT

NEEDRESTART = """\
#!/bin/sh
# Like needrestart, it lists every service, and restarts those that no setting excludes.
cd "${0%/*}"
case " $* " in
    *" -r l "*) sed 's/^/NEEDRESTART-SVC: /' stale ;;
    *) grep '^rackwright-\\|^dbus' stale >left; mv left stale ;;
esac
"""
SYSTEMCTL = """\
#!/bin/sh
cd "${0%/*}"
echo "$*" >>acts
grep -vxF -e "$3" stale >left
mv left stale
"""


def restart(folder: Path, *stale: str) -> tuple[Replaced, list[str]]:
    """Run the script on a host with these services on replaced libraries; return what it says and what it ordered."""
    (folder / "stale").write_text("".join(f"{one}\n" for one in stale))
    (folder / "acts").touch()
    for name, text in {"needrestart": NEEDRESTART, "systemctl": SYSTEMCTL}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    ran = subprocess.run(["sh", "-s"], input=script(), capture_output=True, text=True, check=True, env=environment)
    return parse_replaced(ran.stdout), (folder / "acts").read_text().splitlines()


def test_services_are_restarted_and_named_with_those_that_needrestart_leaves(tmp_path: Path) -> None:
    said, acts = restart(tmp_path, "dbus.service", "rackwright-assistant@1.service", "ssh.service")
    assert said == Replaced(("rackwright-assistant@1.service", "ssh.service"), ("dbus.service",))
    assert acts == ["restart -- rackwright-assistant@1.service"]


@pytest.mark.parametrize("unit", [UNIT, f"{BY_HAND}-4711.service"])
def test_the_tool_that_may_be_making_this_run_stays(tmp_path: Path, unit: str) -> None:
    said, acts = restart(tmp_path, "rackwright-gateway.service", unit)
    assert said == Replaced(("rackwright-gateway.service",), (unit,))
    assert acts == ["restart -- rackwright-gateway.service"]

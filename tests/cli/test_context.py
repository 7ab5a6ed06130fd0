from __future__ import annotations

import subprocess
import sys

from tests.cli.command_line import rackwright


def test_hosts_needed_makes_sockets_cooperative_once():
    code = (
        "from rackwright.cli.context import hosts_needed\n"
        "from gevent import monkey\n"
        "hosts_needed(); hosts_needed()\n"
        "assert monkey.is_module_patched('socket')\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_fleet_file_that_is_missing_is_named(tmp_path):
    ran = rackwright("-f", tmp_path / "none.yml", "key", "list", "--json")
    assert ran.exit_code == ran.error["exit_code"] == 10
    assert "none.yml" in ran.error["problems"][0]["where"]

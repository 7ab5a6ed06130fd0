from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.cli.command_line import rackwright
from tests.waiting import state, wait_until

HEEDS_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
"""The process that runs the tests may ignore SIGINT (nohup, a shell's background), and its children inherit that."""


def test_hosts_needed_makes_sockets_cooperative_once():
    code = (
        "from rackwright.cli.common.context import hosts_needed\n"
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


def test_ctrl_c_while_everything_waits_prints_no_traceback():
    code = HEEDS_CTRL_C + (
        "from rackwright.cli.common.context import hosts_needed\n"
        "hosts_needed()\n"
        "import threading, time\n"
        # The thread prints once gevent's hub runs.
        "threading.Thread(target=print, args=('waits',), kwargs={'flush': True}).start()\n"
        "try:\n"
        "    time.sleep(60)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as program:
        assert program.stdout
        assert program.stdout.readline() == "waits\n"
        wait_until(lambda: state(program.pid) == "S")
        program.send_signal(signal.SIGINT)
        assert program.communicate(timeout=120) == ("interrupted\n", "")


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_command_and_not_the_connection_that_is_at_work(told):
    code = (
        "import signal\n"
        # The process that runs the tests may ignore the signal (nohup), and then this process would too.
        f"signal.signal({int(told)}, signal.default_int_handler)\n"
        "from rackwright.__main__ import _unwind_on_signals\n"
        "from rackwright.cli.common.context import hosts_needed\n"
        "_unwind_on_signals(); hosts_needed()\n"
        "import os, threading\n"
        "ended, never = threading.Event(), threading.Event()\n"
        "def read():\n"
        f"    os.kill(os.getpid(), {int(told)})\n"
        "    print('still reads' if ended.wait(60) else 'read on for ever')\n"
        "reader = threading.Thread(target=read)\n"
        "reader.start()\n"
        "try:\n"
        "    never.wait(60)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
        "    ended.set()\n"
        "reader.join()\n"
    )
    assert said(code) == ("interrupted\nstill reads\n", "")


def test_a_signal_ends_the_command_where_it_waits_and_not_in_the_middle_of_taking_a_lock():
    code = HEEDS_CTRL_C + (
        "from rackwright.cli.common.context import hosts_needed\n"
        "hosts_needed()\n"
        "import os, signal, threading\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    print('goes on')\n"
        "    threading.Event().wait(60)\n"
        "    print('never heard')\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    assert said(code) == ("goes on\ninterrupted\n", "")


def said(code: str) -> tuple[str, str]:
    """Run the code in a separate Python; return its standard output and standard error."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    return done.stdout, done.stderr

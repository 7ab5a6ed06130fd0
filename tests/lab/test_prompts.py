"""Operators who answer late: at each question, the lease outlasts its own length, on a real control host.

The lease lasts six seconds here, so that tests wait for seconds and not for minutes. Everything else is the real
command's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from rackwright.lab.hosts import Lab
from rackwright.operations.filesystem.fetch import MARKER
from tests.lab.operator import Operator, operator
from tests.lab.standard import standard_lab
from tests.lab.versions import Versions
from tests.terminal import Terminal, at_terminal
from tests.waiting import wait_until

pytestmark = pytest.mark.lab
SECONDS = 6
WITH_A_SHORT_LEASE = f"""
from rackwright.state import lease
lease.SECONDS, lease.RENEW_SECONDS = {SECONDS}, 1.5
from rackwright.__main__ import main
main()
"""
STALE = "git can't tell which are newer. Apply them? [y/N]: "
APPLY = "Apply this? [y/N]: "
DOWNTIME = "Accept that? [y/N]: "
UPDATE = "Update these replicas, one at a time? [y/N]: "
PRUNE = "Remove 1 item? [y/N]: "
MOVE = "Move lease and journal from gate1 to gpu1? [y/N]: "
ALLOW = "  allow:\n    - {on: [gpu1], port: 9100, from: [10.0.0.0/8], why: metrics}\n"
UNNEEDED = "/srv/models/assistant/0123456789abcdef"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with standard_lab("prompts", "gate1", "gpu1") as lab:
        yield lab


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    return operator(tmp_path_factory.mktemp("site"), lab.fleet())


@pytest.fixture(scope="module")
def model(site: Operator) -> Versions:
    versions = Versions(site)
    site("lock")
    site("apply", "--yes")
    return versions


@contextmanager
def asked(site: Operator, *words: str) -> Iterator[Terminal]:
    """Run the command at a terminal, with a lease of six seconds."""
    argv = [sys.executable, "-c", WITH_A_SHORT_LEASE, *site.argv(*words)[3:]]
    with at_terminal(argv, site.environment) as terminal:
        yield terminal


def answer_late(site: Operator, lab: Lab, terminal: Terminal, question: str) -> None:
    """Answer yes after the lease would have expired without renewal, and check that no other lease was given out."""
    terminal.read_until(question)
    token, _, expires = lease(lab)

    def outlasted() -> bool:
        now = lease(lab)
        assert now[0] == token, "another lease was given out"
        assert now[2] > now[1], "it ended while the question waited"
        return now[2] > expires + SECONDS

    wait_until(outlasted)
    assert "the fleet is leased by" in site("undrain", "gpu1/assistant@1", check=11).err
    terminal.type("y\n")


def lease(lab: Lab) -> tuple[int, int, int]:
    """Return the lease's token, the control host's time and the time when the lease ends."""
    words = lab.exec("gate1", "date +%s; head -n 1 /var/lib/rackwright/control/lease").out.split()
    return int(words[2]), int(words[0]), int(words[4])


def test_apply(site: Operator, model: Versions, lab: Lab) -> None:
    site.edit("  admin_from:", ALLOW + "  admin_from:")
    # As on another machine of the same operator: it has no record of the last apply.
    shutil.rmtree(site.path.parent / "cache" / "rackwright" / "applied")
    with asked(site, "apply") as terminal:
        for question in (STALE, APPLY):
            answer_late(site, lab, terminal, question)
        assert terminal.end() == 0, terminal.shown
    assert site("plan", "--json").json["changed"] == 0


def test_update(site: Operator, model: Versions, lab: Lab) -> None:
    model.good("two")
    with asked(site, "model", "update", "assistant") as terminal:
        for question in (DOWNTIME, UPDATE):
            answer_late(site, lab, terminal, question)
        assert terminal.end() == 0, terminal.shown
    assert "gpu1/assistant@1" in terminal.shown.splitlines()[-1]


def test_prune(site: Operator, model: Versions, lab: Lab) -> None:
    lab.exec("gpu1", f"mkdir {UNNEEDED} && printf %s {UNNEEDED.rsplit('/', 1)[1]} >{UNNEEDED}/{MARKER}")
    with asked(site, "model", "prune") as terminal:
        answer_late(site, lab, terminal, PRUNE)
        assert terminal.end() == 0, terminal.shown
    assert lab.exec("gpu1", f"test ! -e {UNNEEDED}").out == ""


def test_move(site: Operator, model: Versions, lab: Lab) -> None:
    lock = site.path.with_suffix(".lock")
    before = {path: path.read_text() for path in (site.path, lock)}
    site.edit("gateway:", "control: [gpu1]\ngateway:")
    with asked(site, "lease", "move") as terminal:
        answer_late(site, lab, terminal, MOVE)
        assert terminal.end() == 0, terminal.shown
    assert site("apply", "--yes", "--json").json["changed"] == 0
    # As in a checkout from before the move.
    for path, text in before.items():
        path.write_text(text)
    assert "gpu1 is the control host" in site("restart", "gpu1/assistant@1", "--yes", check=11).err


def test_removing_a_lab_is_asked_for(lab: Lab) -> None:
    argv = [sys.executable, "-m", "rackwright", "lab", "down", "--name", lab.name]
    with at_terminal(argv, dict(os.environ)) as terminal:
        terminal.read_until(f"Remove gate1, gpu1 of lab {lab.name}, and inventory/{lab.name}.*? [y/N]: ")
        terminal.type("n\n")
        assert terminal.end() == 1
    login = [sys.executable, "-m", "rackwright", "lab", "ssh", "gpu1", "--name", lab.name, "--", "sudo", "id", "-un"]
    assert subprocess.run(login, capture_output=True, text=True, check=False).stdout == "root\n"

"""The scripts of docs/ci.md, run on lab hosts as they are written there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rackwright.lab.hosts import Lab
from tests.lab.operator import Operator, operator
from tests.lab.standard import standard_lab
from tests.waiting import wait_until

pytestmark = pytest.mark.lab
PAGE = (Path(__file__).parents[2] / "docs/ci.md").read_text()
PULL_REQUEST, MERGE, HOURLY, MINUTELY = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with standard_lab("recipes", "gate1", "gpu1") as lab:
        yield lab


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    site = operator(tmp_path_factory.mktemp("site"), lab.fleet())
    site("lock")
    return site


def run(site: Operator, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script as CI does: without a terminal, in the folder of the checkout."""
    folder = Path(sys.executable).parent
    environment = {**os.environ, **site.environment, "RACKWRIGHT_FLEET": str(site.path)}
    environment["PATH"] = f"{folder}:{environment['PATH']}"
    return subprocess.run(
        ["sh", "-c", script],
        cwd=site.path.parent,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_a_pull_request_is_checked_without_hosts(site: Operator) -> None:
    assert run(site, PULL_REQUEST).returncode == 0
    text = site.path.read_text()
    site.path.write_text(text.replace("context:", "contxt:"))
    refused = run(site, PULL_REQUEST)
    site.path.write_text(text)
    assert refused.returncode == 10
    assert "did you mean 'context'?" in refused.stderr


def test_a_merge_is_applied_and_proven_and_the_next_run_finds_nothing_to_do(site: Operator) -> None:
    first, second = run(site, MERGE), run(site, MERGE)
    assert (first.returncode, second.returncode) == (0, 0)
    assert "proofs passed" in first.stdout
    assert "the hosts match" in second.stdout
    assert "the hosts match" not in first.stdout


def test_drift_is_printed_and_silence_means_none(site: Operator, lab: Lab) -> None:
    assert run(site, HOURLY).stdout == ""
    lab.exec("gpu1", "echo '# mine' >>/etc/rackwright/host-proxy/haproxy.cfg")
    said = run(site, HOURLY).stdout
    assert said.startswith("drift or failure (4):\n")
    assert "Write HAProxy's configuration" in said
    assert run(site, MERGE).returncode == 0
    assert run(site, HOURLY).stdout == ""


def test_the_service_is_watched(site: Operator, lab: Lab) -> None:
    assert healthy(site) == "True"
    lab.exec("gpu1", "systemctl stop rackwright-assistant@1")
    # The gateway needs a moment to notice.
    wait_until(lambda: healthy(site) == "False")
    lab.exec("gpu1", "systemctl start rackwright-assistant@1")


def healthy(site: Operator) -> str:
    return run(site, MINUTELY).stdout.splitlines()[0]

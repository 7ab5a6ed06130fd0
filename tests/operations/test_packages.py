from __future__ import annotations

import subprocess
from pathlib import Path

from rackwright.operations.facts.packages import Installed, InstalledPackages
from rackwright.operations.packages import LISTS_STAMP, _script, installed
from tests.fakes import commands


def role() -> None:
    installed(name="Install", packages=("haproxy", "nftables"), unstarted=("haproxy.service",))


def both() -> None:
    installed(name="Install", packages=("haproxy", "nftables"))


def test_what_is_installed_is_left() -> None:
    assert commands(role, facts={InstalledPackages: frozenset({"haproxy", "nftables"})}) == []


def test_only_what_is_missing_is_installed_and_survives_a_lost_connection() -> None:
    (command,) = commands(both, facts={InstalledPackages: frozenset({"nftables"})})
    assert command.startswith("systemd-run --quiet --wait --collect")
    assert "DPkg::Lock::Timeout=300" in command
    assert "install --no-install-recommends -- haproxy" in command
    assert "nftables" not in command
    assert "mask" not in command


def test_a_service_that_must_not_start_is_masked_before_and_disabled_after() -> None:
    (command,) = commands(role, facts={InstalledPackages: frozenset()})
    order = ["mask --runtime -- haproxy.service", "install --no-install-recommends"]
    assert command.index(order[0]) < command.index(order[1])
    assert "disable -- haproxy.service" in command


def test_half_installed_packages_are_not_installed() -> None:
    printed = [
        "installed install haproxy 3.0-1 amd64",
        "config-files deinstall nftables 1.1",
        "half-configured install curl 8",
    ]
    assert set(InstalledPackages().process(printed)) == {"haproxy"}


def test_versions_and_holds_are_told() -> None:
    found = InstalledPackages().process(
        ["installed hold nvidia-smi 550.163.01-2 amd64", "installed install curl 8.14-2 amd64"]
    )
    assert found["nvidia-smi"] == Installed("550.163.01-2", on_hold=True)
    assert found["curl"] == Installed("8.14-2", on_hold=False)


def test_lists_are_fetched_again_after_an_installation_that_failed(tmp_path: Path) -> None:
    stamp, log = tmp_path / "periodic/stamp", tmp_path / "log"
    fake = tmp_path / "bin/apt-get"
    fake.parent.mkdir()
    # Like apt without a network: an update that fetches nothing ends with 0.
    fake.write_text(f'#!/bin/sh\necho "$*" >>{log}\ncase "$*" in *update*) ;; *) [ -e {tmp_path}/there ] ;; esac\n')
    fake.chmod(0o755)
    script = _script(("restic",), (), 60).replace(LISTS_STAMP, str(stamp)).replace("/var/lib/apt/periodic", "")
    script = script.replace("mkdir -p ", f"mkdir -p {stamp.parent}")

    def run() -> int:
        environment = {"PATH": f"{fake.parent}:/usr/bin:/bin"}
        return subprocess.run(["sh", "-c", script], env=environment, check=False).returncode

    assert run() != 0
    (tmp_path / "there").touch()
    assert run() == 0
    assert run() == 0
    updates = [line for line in log.read_text().splitlines() if line.endswith("update")]
    assert len(updates) == 2, "again after the failure, and not again after the success"

"""The tool on a host that is only a control host: installed, kept up to date, and removed. The tests build on one
another."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import rackwright
from rackwright.fleet.lock_file import read_lock
from rackwright.lab.hosts import Lab
from rackwright.own_wheel import own_version
from rackwright.roles.tool.settings import FOLDER, STATE, USER, folder_of
from tests.lab.operator import Operator, operator
from tests.lab.standard import standard_lab

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "deploys/tool.py",
    "rackwright/fleet/hosts/tool.py",
    "rackwright/fleet/reading/unattended_rules.py",
    "rackwright/fleet/sections/unattended.py",
    "rackwright/operations/filesystem/wheels.sh",
    "rackwright/operations/retired.py",
    "rackwright/own_wheel.py",
    "rackwright/resolve/tool.py",
    "roles/tool",
)
CTL = "spare1"
"""The lab's own fleet file leaves a host with this name out."""
ROLES = ("--only", "tool", "--only", "layout")
AS_TOOL = f"cd / && setpriv --reuid {USER} --regid {USER} --clear-groups env -i HOME={STATE} PATH=/usr/bin:/bin "


@dataclass(frozen=True)
class Other(Operator):
    """An operator with another rackwright."""

    checkout: Path

    def argv(self, *words: str) -> list[str]:
        # Without -P, Python takes rackwright from the current folder.
        python, *others = super().argv(*words)
        return [python, "-P", *others]

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {"PYTHONPATH": str(self.checkout)}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with standard_lab("tool", "gate1", "gpu1", CTL, bare=(CTL,)) as lab:
        yield lab


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    site = operator(tmp_path_factory.mktemp("site"), lab.fleet())
    key = site.path.with_name("nightly")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    fleet = lab.fleet()
    text = site.path.read_text().replace("/32]", f"/32, {fleet.hosts[CTL]}/32]")
    text = text.replace("\nhosts:\n", f"\nhosts:\n  {CTL}: {{address: {fleet.hosts[CTL]}}}\n")
    text += (
        f"people: {{nightly: {{role: operator, keys: ['{key.with_suffix('.pub').read_text().strip()}']}}}}\n"
        f"control: [{CTL}]\n"
        f"unattended: {{on: [{CTL}], person: nightly, key: 'file:nightly'}}\n"
    )
    site.path.write_text(text)
    refused = site("apply", "--yes", check=10)
    assert "test.lock tool: is in the fleet file only" in refused.err
    site("lock")
    return site


def versions(lab: Lab) -> list[str]:
    return lab.exec(CTL, "ls -d /opt/rackwright/tool-*", check=False).out.split()


def traces(lab: Lab, host: str) -> str:
    """Return all that the host has of the tool."""
    return lab.exec(host, f"ls -d /opt/rackwright/tool-* {FOLDER} {STATE}; getent passwd {USER}", check=False).out


def changed(path: Path, text: str) -> Path:
    """Return a checkout of another rackwright: this one with another line in one of its files."""
    checkout = path / "checkout"
    shutil.copytree(
        Path(rackwright.__file__).parent, checkout / "rackwright", ignore=shutil.ignore_patterns("__pycache__")
    )
    with (checkout / "rackwright" / "route.py").open("a") as stream:
        stream.write(f"# {text}\n")
    return checkout


def test_apply_puts_this_rackwright_on_the_control_host_alone(site: Operator, lab: Lab) -> None:
    tool = read_lock(site.path.with_suffix(".lock")).tool
    assert tool
    assert tool.version == own_version()
    assert len(tool.files) > 30
    site("apply", "--yes", timeout=600)
    assert versions(lab) == [folder_of(own_version())]
    for host in ("gate1", "gpu1"):
        assert traces(lab, host) == ""


def test_its_user_runs_it_and_it_is_the_same_rackwright(site: Operator, lab: Lab) -> None:
    programs = f"{folder_of(own_version())}/bin"
    for program in (f"{programs}/python -m rackwright", f"{programs}/rackwright"):
        assert lab.exec(CTL, f"{AS_TOOL} {program} --version").out.split()[-1] == rackwright.__version__
    ask = "from rackwright.own_wheel import own_wheel; made = own_wheel(); print(made.path, made.sha256)"
    here = subprocess.run(
        [*site.argv()[:1], "-c", ask], capture_output=True, text=True, check=True, env=site.environment
    ).stdout
    assert lab.exec(CTL, f"{AS_TOOL} {programs}/python -I -c '{ask}'").out == here
    assert f"rackwright-{own_version()}-py3-none-any.whl" in here


def test_its_user_has_no_shell_and_can_write_only_to_its_state(lab: Lab) -> None:
    assert lab.exec(CTL, f"getent passwd {USER}").out.split(":")[5:] == [STATE, "/usr/sbin/nologin\n"]
    assert lab.exec(CTL, f"stat -c '%a %U %G' {STATE} {FOLDER} {folder_of(own_version())}").out.splitlines() == [
        f"700 {USER} {USER}",
        "755 root root",
        "555 root root",
    ]
    writable = f"find / -xdev -user {USER} -not -path '{STATE}*' -not -path '/proc/*'"
    assert lab.exec(CTL, writable).out == ""
    assert lab.exec(CTL, f"find {folder_of(own_version())} -not -user root -o -perm /022 -not -type l").out == ""
    assert lab.exec(CTL, f"{AS_TOOL} touch {FOLDER}/x {folder_of(own_version())}/x", check=False).code != 0


def test_check_asks_whether_the_host_reaches_the_servers_of_its_wheels(site: Operator) -> None:
    tool = read_lock(site.path.with_suffix(".lock")).tool
    assert tool
    servers = {"/".join(file.url.split("/")[:3]) for file in tool.files}
    conditions = site("check", "--json", check=None).json["conditions"]
    asked = [(one["where"], one["found"], one["state"]) for one in conditions if one["what"] == "reaches"]
    for server in servers:
        answers = {where: state for where, found, state in asked if found.startswith(f"{server} ")}
        assert answers == {CTL: "ok"}


def test_a_second_apply_changes_nothing(site: Operator) -> None:
    assert site("apply", "--yes", "--json").json["changed"] == 0


def test_another_rackwright_must_lock_first_and_the_version_before_stays(
    site: Operator, lab: Lab, tmp_path: Path
) -> None:
    first = folder_of(own_version())
    other = Other(site.path, changed(tmp_path, "another"))
    refused = other("apply", "--yes", *ROLES, check=10)
    assert f"test.lock tool.version: is {own_version()}, but this rackwright is " in refused.err
    assert "next: rackwright lock" in refused.err
    other("lock")
    other("apply", "--yes", *ROLES)
    second = {*versions(lab)} - {first}
    assert len(second) == 1
    assert {*versions(lab)} == {first, *second}
    third = Other(site.path, changed(tmp_path / "third", "a third"))
    third("lock")
    third("apply", "--yes", *ROLES)
    assert first not in versions(lab)
    assert {*second} < {*versions(lab)}
    assert len(versions(lab)) == 2
    assert third("apply", "--yes", "--json", *ROLES).json["changed"] == 0


def test_a_host_that_is_no_longer_named_loses_all_of_it(site: Operator, lab: Lab) -> None:
    text = site.path.read_text()
    site.path.write_text("".join(line for line in text.splitlines(True) if not line.startswith("unattended:")))
    site("lock")
    assert read_lock(site.path.with_suffix(".lock")).tool is None
    site("apply", "--yes", *ROLES)
    assert traces(lab, CTL) == ""
    assert os.path.lexists(site.path.with_name("nightly"))

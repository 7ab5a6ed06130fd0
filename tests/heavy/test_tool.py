"""The tool on a host that is only a control host: installed, kept up to date, and removed. The tests build on one
another."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

import rackwright
from rackwright.fleet.lock_file import read_lock
from rackwright.lab.hosts import Lab
from rackwright.lab.podman import Done
from rackwright.own_wheel import own_version
from rackwright.roles.tool.settings import CHECK_TIMER, COMMAND, FOLDER, RUN, STATE, TIMER, UNIT, USER, folder_of
from rackwright.state.operator import fingerprint_of
from rackwright.values.tool_mode import credential_name
from rackwright.values.windows import DAYS
from tests.lab.operator import Operator, operator
from tests.lab.standard import standard_lab
from tests.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "deploys/tool.py",
    "rackwright/fleet/hosts/tool.py",
    "rackwright/fleet/hosts/tool_secrets.py",
    "rackwright/fleet/reading/unattended_rules.py",
    "rackwright/fleet/sections/unattended.py",
    "rackwright/lifecycle/tool",
    "rackwright/operations/filesystem/wheels.sh",
    "rackwright/operations/retired.py",
    "rackwright/own_wheel.py",
    "rackwright/resolve/tool.py",
    "roles/tool",
)
CTL = "spare1"
HOSTS = (CTL, "gate1", "gpu1")
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
    text = site.path.read_text().replace("\nhosts:\n", f"\nhosts:\n  {CTL}: {{address: {fleet.hosts[CTL]}}}\n")
    text += (
        f"people: {{nightly: {{role: operator, keys: ['{key.with_suffix('.pub').read_text().strip()}']}}}}\n"
        f"control: [{CTL}]\n"
        f"unattended: {{on: [{CTL}], person: nightly, key: 'file:nightly'}}\n"
        f"patch: {{window: '{_far_away()} 02:00-05:00'}}\n"
    )
    site.path.write_text(text)
    refused = site("apply", "--yes", check=10)
    assert "test.lock tool: is in the fleet file only" in refused.err
    site("lock")
    return site


def _far_away() -> str:
    """Return a weekday on which no test runs, because it is neither today nor tomorrow."""
    return DAYS[(datetime.now(UTC).weekday() + 3) % len(DAYS)]


def by_hand(lab: Lab, *words: str, check: bool = True) -> Done:
    """Run the tool as its unit does."""
    return lab.exec(CTL, f"{COMMAND} {shlex.join(words)}", check=check)


def needle(site: Operator) -> str:
    """Return a piece of the tool's private key that is in no other key."""
    return site.path.with_name("nightly").read_text().splitlines()[3]


def versions(lab: Lab) -> list[str]:
    return lab.exec(CTL, "ls -d /opt/rackwright/tool-*", check=False).out.split()


def traces(lab: Lab, host: str) -> str:
    """Return all that the host has of the tool, but for what the tool made there."""
    return lab.exec(host, f"ls -d /opt/rackwright/tool-* {FOLDER} {RUN}; getent passwd {USER}", check=False).out


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
    # The hosts are copies, whose control host was the gateway. The lock that this changes is applied, too.
    site("lease", "move", "--yes")
    site("apply", "--yes")
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


def test_it_reaches_all_hosts_as_its_person_with_its_own_key(site: Operator, lab: Lab) -> None:
    found = json.loads(by_hand(lab, "status", "--json").out)
    assert {one["host"]: one["state"] for one in found["hosts"]} == dict.fromkeys(HOSTS, "ok")
    by_hand(lab, "restart", "gpu1/assistant@1", "--yes", "--allow-outage")
    public = fingerprint_of(site.path.with_name("nightly.pub"))
    acts = [one for one in site("audit", "--json").json["acts"] if one["host"] == "gpu1"]
    assert [one["operator"] for one in acts if one["command"].startswith("restart ")] == [
        f"{USER}@{CTL} (nightly, {public})"
    ]
    login = f"Accepted publickey for nightly from {lab.fleet().hosts[CTL]} "
    for host in HOSTS:
        assert login in lab.exec(host, f"journalctl -q -t sshd -t sshd-session -g '{login}'").out
    rows = [line.split() for line in site("access", "review").out.splitlines() if " nightly " in line]
    assert [row[:5] for row in rows] == [[host, "nightly", "operator,", "the", "tool"] for host in HOSTS]


def test_a_whole_apply_by_the_tool_changes_nothing(lab: Lab) -> None:
    assert json.loads(by_hand(lab, "apply", "--yes", "--json").out)["changed"] == 0
    refused = by_hand(lab, "-f", "site.yml", "status", check=False)
    assert "the tool on a control host works on the applied fleet" in refused.err


def test_its_secrets_are_nowhere_but_in_its_credentials(site: Operator, lab: Lab) -> None:
    key = needle(site)
    running = lab.exec(CTL, f"{COMMAND} logs gate1 --follow >/dev/null 2>&1 </dev/null & echo $!").out.strip()
    seen = f"pgrep -u {USER} -f 'rackwright logs'"
    wait_until(lambda: lab.exec(CTL, seen, check=False).code == 0)
    try:
        (process, *_) = lab.exec(CTL, seen).out.split()
        told = lab.exec(CTL, f"tr '\\0' '\\n' </proc/{process}/environ; tr '\\0' '\\n' </proc/{process}/cmdline").out
        assert "CREDENTIALS_DIRECTORY=/run/credentials/" in told
        assert key not in told
        folder = next(line.split("=")[1] for line in told.splitlines() if line.startswith("CREDENTIALS_DIRECTORY="))
        # What the test looks for is there, and only the unit's user can read it.
        inside = f"nsenter -t {process} -m -- "
        assert key in lab.exec(CTL, f"{inside} cat {folder}/{credential_name('file:nightly')}").out
        as_nobody = f"{inside} setpriv --reuid nobody --clear-groups cat {folder}/{credential_name('file:nightly')}"
        assert lab.exec(CTL, as_nobody, check=False).code != 0
    finally:
        lab.exec(CTL, f"kill -KILL $({seen}); kill {running}", check=False)
    places = "/etc /opt/rackwright /run/systemd /run/rackwright-tool /var/lib /var/log"
    assert lab.exec(CTL, f"grep -rlaF -e '{key}' {places}", check=False).out == ""
    assert lab.exec(CTL, f"journalctl -q --grep '{key[:20]}'", check=False).out == ""


def test_its_timers_start_it(lab: Lab) -> None:
    timers = lab.exec(CTL, "systemctl list-timers --no-legend 'rackwright-schedule*'").out
    assert {line.split()[-2] for line in timers.splitlines()} == {TIMER, CHECK_TIMER}
    assert all(line.split()[-1] == UNIT for line in timers.splitlines())
    lab.exec(CTL, f"systemctl start {UNIT}")
    assert "nothing is due" in lab.exec(CTL, f"journalctl -q -o cat -u {UNIT}").out


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
    # The lock that was applied is of before.
    stopped = by_hand(lab, "status", check=False)
    assert f"the applied lock: has the tool {own_version()}, and " in stopped.err
    assert "next: rackwright lock and then apply, without --only, from a controller" in stopped.err
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

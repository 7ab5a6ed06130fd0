from __future__ import annotations

import subprocess

import pytest

from rackwright.operations.facts.drop_in import Assignment, DropIns
from rackwright.operations.facts.kernel import KernelSettings, Setting, path_of
from rackwright.operations.kernel import kernel_settings
from tests.fakes import Played, play

OURS = "/etc/sysctl.d/60-rackwright.conf"


def settle(wanted: dict[str, str], found: dict[str, str], *others: Assignment, writable: bool = True) -> Played:
    def role() -> None:
        kernel_settings(name="Set", path=OURS, wanted=wanted)

    running = {path: Setting(value, writable) for path, value in found.items()}
    return play(role, facts={KernelSettings: running, DropIns: others})


def other(name: str, key: str, value: str) -> Assignment:
    return Assignment(f"/etc/sysctl.d/{name}.conf", key, value)


PATTERN, ETH0 = {"net.ipv4.conf.*.x": "0"}, "net/ipv4/conf/eth0/x"
ALONE, NAME = {"net.core.x": "0"}, "net/core/x"


def test_a_difference_is_shown_and_set() -> None:
    played = settle(PATTERN, {ETH0: "1", "net/ipv4/conf/lo/x": "0"})
    assert played.commands == [f"printf '%s\\n' 0 >/proc/sys/{ETH0}"]
    assert played.diffs == {"Set": "net.ipv4.conf.eth0.x: 1 becomes 0"}


def test_several_fields_are_compared_whatever_stands_between_them() -> None:
    assert settle({"net.x": "1 \t 2"}, {"net/x": "1 2"}).commands == []


def test_a_name_counts_before_a_pattern() -> None:
    wanted = {"net.ipv4.conf.eth0.x": "1", **PATTERN}
    assert settle(wanted, {ETH0: "1", "net/ipv4/conf/lo/x": "0"}).commands == []


@pytest.mark.parametrize(
    ("wanted", "setting", "winner"),
    [
        (ALONE, NAME, other("90-site", "net.core.x", "7")),
        (ALONE, NAME, other("90-site", "net/core/x", "7")),
        (ALONE, NAME, other("90-site", "-net.core.x", "7")),
        (PATTERN, ETH0, other("90-site", "net.ipv4.conf.*.x", "7")),
        (PATTERN, ETH0, other("10-site", "net.ipv4.conf.eth0.x", "7")),
    ],
)
@pytest.mark.parametrize("running", ["7", "0"])
def test_what_another_file_sets_after_ours_is_named_and_left(
    wanted: dict[str, str], setting: str, winner: Assignment, running: str
) -> None:
    played = settle(wanted, {setting: running}, winner)
    assert played.commands == []
    assert played.notes == {"Set": f"{winner.file} sets {winner.key}=7, which overrides ours (0)"}


@pytest.mark.parametrize(
    ("wanted", "setting", "loser"),
    [
        (ALONE, NAME, other("10-site", "net.core.x", "7")),
        (ALONE, NAME, other("90-site", "net.core.*", "7")),
        (ALONE, NAME, other("90-site", "net.core.x", "0")),
        (PATTERN, ETH0, other("10-site", "net.ipv4.conf.*.x", "7")),
        (PATTERN, ETH0, other("90-site", "net.ipv4.conf.eth1.x", "7")),
        (PATTERN, ETH0, Assignment(OURS, "net.ipv4.conf.eth0.x", "7")),
    ],
)
def test_what_is_read_before_ours_or_means_something_else_is_no_matter(
    wanted: dict[str, str], setting: str, loser: Assignment
) -> None:
    played = settle(wanted, {setting: "1"}, loser)
    assert len(played.commands) == 1
    assert played.notes == {}


def test_what_can_not_be_set_here_is_named() -> None:
    played = settle(ALONE, {NAME: "1"}, writable=False)
    assert played.commands == []
    assert played.notes == {"Set": "net.core.x is 1, should be 0, and can't be set here"}
    assert settle(ALONE, {NAME: "0"}, writable=False).notes == {}


def test_a_setting_that_this_kernel_has_not_is_named_and_a_pattern_may_match_nothing() -> None:
    assert settle({**ALONE, **PATTERN}, {}).notes == {"Set": "this kernel has no setting net.core.x"}


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("net.core.x", "net/core/x"),
        ("net.ipv4.conf.eth0/100.x", "net/ipv4/conf/eth0.100/x"),
        ("net/ipv4/conf/eth0.100/x", "net/ipv4/conf/eth0.100/x"),
    ],
)
def test_dots_and_slashes_are_read_as_sysctl_d_does(key: str, path: str) -> None:
    assert path_of(key) == path


def test_this_kernel_is_asked_in_one_command() -> None:
    keys = ("kernel.pid_max", "net.ipv4.conf.*.rp_filter", "kernel.absent", "net.ipv4.ip_local_port_range")
    done = subprocess.run(["sh", "-c", KernelSettings().command(keys)], capture_output=True, text=True, check=True)
    found = KernelSettings().process(done.stdout.splitlines())
    assert int(found["kernel/pid_max"].value) > 1000
    assert {"net/ipv4/conf/all/rp_filter", "net/ipv4/conf/lo/rp_filter"} <= set(found)
    assert "kernel/absent" not in found
    assert len(found["net/ipv4/ip_local_port_range"].value.split(" ")) == 2


def test_names_are_quoted() -> None:
    assert "'a/$(reboot)'" in KernelSettings().command(("a.$(reboot)",))

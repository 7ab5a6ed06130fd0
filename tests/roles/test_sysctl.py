from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import ValidationError

from rackwright.operations.facts.drop_in import DropIns
from rackwright.operations.facts.kernel import Advertised, KernelSettings, Setting, path_of
from rackwright.operations.facts.path_state import Found, PathState
from rackwright.roles.sysctl.hardening import drop_in, notes, wanted
from rackwright.roles.sysctl.role import sysctl
from rackwright.roles.sysctl.settings import Settings
from tests.fakes import commands, play


def facts(settings: Settings, **differing: str) -> Mapping[object, object]:
    """A host that is as it should be, except for these values."""
    text = drop_in(wanted(settings))
    values = {path_of(key).replace("*", "eth0"): value for key, value in wanted(settings).items()}
    values |= {key.replace("__", "/"): value for key, value in differing.items()}
    return {
        PathState: Found("regular file", 0o644, "root", "root", hashlib.sha256(text.encode()).hexdigest()),
        KernelSettings: {path: Setting(value, writable=True) for path, value in values.items()},
        DropIns: (),
        Advertised: {},
    }


def test_a_second_run_changes_nothing() -> None:
    played = play(sysctl, settings=Settings(), facts=facts(Settings()))
    assert (played.commands, played.notes) == ([], {})


def test_only_what_the_running_kernel_has_otherwise_is_set() -> None:
    state = facts(Settings(), kernel__kptr_restrict="0", net__ipv4__conf__eth0__accept_redirects="1")
    assert commands(sysctl, settings=Settings(), facts=state) == [
        "printf '%s\\n' 0 >/proc/sys/net/ipv4/conf/eth0/accept_redirects && "
        "printf '%s\\n' 1 >/proc/sys/kernel/kptr_restrict"
    ]


def test_a_host_with_several_networks_may_be_answered_on_another_one() -> None:
    assert wanted(Settings())["net.ipv4.conf.all.rp_filter"] == "2"


def test_router_advertisements_are_refused_unless_an_interface_lives_on_them() -> None:
    assert wanted(Settings())["net.ipv6.conf.*.accept_ra"] == "0"
    kept = {"net/ipv6/conf/eth0.7/accept_ra": "2"}
    needs = {"eth0.7": "2"}
    assert wanted(Settings(), needs) == {**wanted(Settings()), **kept}
    state = {**facts(Settings()), Advertised: needs}
    state[KernelSettings]["net/ipv6/conf/eth0.7/accept_ra"] = Setting("2", writable=True)
    played = play(sysctl, settings=Settings(), facts=state)
    assert not any("accept_ra" in command for command in played.commands)
    assert played.notes["Apply the kernel's settings"] == (
        "eth0.7 has or had addresses or routes from IPv6 router advertisements, so its accept_ra stays 2; "
        "to accept that, set baseline.sysctl.values: {net/ipv6/conf/eth0.7/accept_ra: 2}; to refuse them, 0"
    )


def living(path: Path, addresses: str = "") -> Mapping[str, str]:
    """Return the interfaces that keep advertisements, with this drop-in and this output of `ip`."""
    script = f"ip() {{ printf '%s\\n' '{addresses}'; }}\n{Advertised().command(str(path))}"
    printed = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    return Advertised().process(printed.stdout.splitlines())


def test_an_interface_whose_router_is_down_keeps_its_advertisements_until_the_fleet_file_decides(
    tmp_path: Path,
) -> None:
    path = tmp_path / "it's 60-rackwright.conf"
    assert living(path) == {}
    path.write_text(drop_in(wanted(Settings(), {"eth0.7": "2", "gone": "1"})))
    assert living(path) == {"eth0.7": "2", "gone": "1"}
    for value in (0, 1):
        path.write_text(drop_in(wanted(Settings(values={"net.ipv6.conf.eth0/7.accept_ra": value}), living(path))))
    assert living(path) == {"gone": "1"}


@pytest.mark.parametrize(
    "key", ["net.ipv6.conf.*.accept_ra", "net/ipv6/conf/eth0.7/accept_ra", "net.ipv6.conf.eth0/7.accept_ra"]
)
def test_ones_own_value_for_router_advertisements_is_set_and_nothing_is_noted(key: str) -> None:
    settings = Settings(values={key: 1})
    assert notes(settings, {"eth0.7": "2"}) == ()
    assert wanted(settings, {"eth0.7": "2"}) == wanted(settings)


def test_a_container_is_told_the_networks_settings_only() -> None:
    settings = Settings(kernel="no", values={"vm.swappiness": 10})
    assert {key for key in wanted(settings) if not key.startswith("net.")} == {"vm.swappiness"}


def test_ones_own_value_stands_in_place_of_the_built_in_one() -> None:
    lines = drop_in(wanted(Settings(values={"kernel.kptr_restrict": 2}))).splitlines()
    assert [line for line in lines if "kptr" in line] == ["kernel.kptr_restrict = 2"]


@pytest.mark.parametrize(
    "key", ["somaxconn", "net.core.x y", "net.core.$(reboot)", "net..x", "-net.core.x", "../etc/x"]
)
def test_what_is_no_setting_is_refused(key: str) -> None:
    with pytest.raises(ValidationError, match="should be a kernel setting like"):
        Settings(values={key: 1})


@pytest.mark.parametrize("value", ["1\n2", "1\x00"])
def test_a_value_is_one_line(value: str) -> None:
    with pytest.raises(ValidationError):
        Settings(values={"net.core.x": value})


def test_what_is_not_managed_is_not_even_looked_at() -> None:
    assert play(sysctl, settings=Settings(manage="no"), facts={}).operations == []

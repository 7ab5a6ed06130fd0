from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import ValidationError

from rackwright.operations.facts.apt import AptSettings
from rackwright.operations.facts.packages import InstalledPackages
from rackwright.operations.facts.path_state import Found, PathState
from rackwright.operations.facts.unit import SystemUnitStates, Unit
from rackwright.roles.updates.configuration import EXCLUDED, MARK, ORIGINS, SWITCHES, apt, needrestart
from rackwright.roles.updates.role import updates
from rackwright.roles.updates.settings import APT, NEEDRESTART, Settings
from tests.fakes import play, systemctl

_ORIGINS = "Unattended-Upgrade::Origins-Pattern::"
_TIMERS = ("apt-daily.timer", "apt-daily-upgrade.timer")
_SETTLED = {MARK: ("yes",), _ORIGINS: ORIGINS, **{key: (value,) for key, value in SWITCHES.items()}}


def text_file(text: str) -> Found:
    return Found("regular file", 0o644, "root", "root", hashlib.sha256(text.encode()).hexdigest(), text.encode())


def facts(found: Mapping[str, tuple[str, ...]] = _SETTLED, timer: Unit | None = None) -> Mapping[object, object]:
    return {
        (PathState, APT): text_file(apt(Settings())),
        (PathState, NEEDRESTART): text_file(needrestart()),
        InstalledPackages: frozenset({"unattended-upgrades", "needrestart"}),
        SystemUnitStates: dict.fromkeys(_TIMERS, timer or Unit("loaded", "active", "enabled")),
        AptSettings: found,
    }


def excluded(settings: Settings, package: str) -> bool:
    """Match like unattended-upgrades: an expression counts if it matches at the start of the name."""
    patterns = re.findall(r'^  "(.*)";$', apt(settings).partition("Package-Blacklist {")[2], re.MULTILINE)
    return any(re.match(pattern, package) for pattern in patterns)


def test_a_second_run_changes_nothing() -> None:
    played = play(updates, settings=Settings(), facts=facts())
    assert (played.commands, played.notes) == ([], {})


def test_the_settings_stand_before_the_packages_that_would_act_without_them() -> None:
    played = play(updates, settings=Settings(), facts={PathState: None})
    order = [f"upload {APT}", f"upload {NEEDRESTART}", "install --no-install-recommends -- unattended-upgrades needr"]
    text = "\n".join(played.commands)
    assert [text.index(step) for step in order] == sorted(text.index(step) for step in order)
    assert played.commands[-2:] == [systemctl("start", timer) for timer in _TIMERS]


@pytest.mark.parametrize(
    "package",
    (
        "linux-image-amd64 linux-modules-nvidia-580 nvidia-driver-580-open libnvidia-compute-580 libcuda1 "
        "cuda cuda-toolkit-13-0 libcudart12 libcublas-12-8 libcufile-12-8 libnccl2 libnvsdm-580 hip-runtime-amd "
        "linux-nvidia-hwe-24.04 linux-generic linux-objects-nvidia-580-6.8.0-31-generic linux-firmware "
        "amdgpu-dkms mlnx-ofed-kernel-dkms doca-ofed datacenter-gpu-manager-4-core haproxy vllm llama.cpp libggml0"
    ).split(),
)
def test_what_engines_and_gpus_run_on_is_left_to_a_rollout(package: str) -> None:
    assert excluded(Settings(), package)


@pytest.mark.parametrize(
    "package",
    (
        "openssl libssl3t64 openssh-server curl sudo libc6 rsyslog "
        # Their names begin like those of drivers and kernels.
        "libcurl4t64 libcurl3t64-gnutls libcups2t64 libcupsfilters2 libcue2 libcurses-perl libcub-dev libnvme1t64 "
        "linux-libc-dev linux-base linux-perf linux-cpupower hippotat-server hipercontracer haproxy-log-analysis"
    ).split(),
)
def test_everything_else_is_updated(package: str) -> None:
    assert not excluded(Settings(), package)


def test_ones_own_packages_are_named_whole_or_by_their_beginning() -> None:
    settings = Settings(exclude=("libstdc++6", "postgresql*"))
    assert [excluded(settings, package) for package in ("libstdc++6", "postgresql-17", "libstdc++6-dev")] == [
        *(True, True),
        False,
    ]


@pytest.mark.parametrize("package", ["", "*", 'a";', "a b", "a|b", "A"])
def test_what_is_no_package_is_refused(package: str) -> None:
    with pytest.raises(ValidationError, match="should be the name of a package"):
        Settings(exclude=(package,))


def test_only_security_origins_are_taken_and_no_reboot_follows() -> None:
    assert all("security" in origin.lower() for origin in ORIGINS)
    assert apt(Settings()).index("#clear Unattended-Upgrade::Origins-Pattern;") < apt(Settings()).index("Debian,")
    assert SWITCHES["Unattended-Upgrade::Automatic-Reboot"] == "false"
    assert len(EXCLUDED) == len(set(EXCLUDED))


def test_perl_reads_what_needrestart_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.conf"
    path.write_text(needrestart())
    assert subprocess.run(["perl", "-c", str(path)], capture_output=True, check=False).returncode == 0


def test_what_another_file_says_otherwise_is_named_and_left() -> None:
    odd = {**_SETTLED, "APT::Periodic::Unattended-Upgrade": ("0",), _ORIGINS: (*ORIGINS, "site=acme")}
    played = play(updates, settings=Settings(), facts=facts(odd))
    assert played.commands == []
    assert played.notes == {
        "Check for other update settings": "another file in /etc/apt/apt.conf.d sets "
        'APT::Periodic::Unattended-Upgrade to "0"\nanother file in /etc/apt/apt.conf.d adds "site=acme" to '
        "Unattended-Upgrade::Origins-Pattern"
    }


def test_settings_are_not_judged_before_ours_are_there() -> None:
    assert play(updates, settings=Settings(), facts=facts({})).notes == {}


def test_a_masked_timer_is_named_and_left() -> None:
    played = play(updates, settings=Settings(), facts=facts(timer=Unit("masked", "inactive", "masked")))
    assert played.commands == []
    assert set(played.notes.values()) == {f"{timer} is masked" for timer in _TIMERS}


def test_what_is_not_managed_is_not_even_looked_at() -> None:
    assert play(updates, settings=Settings(manage="no"), facts={}).operations == []


def test_apts_own_words_are_read() -> None:
    told = ['A::B "";', 'A::B:: "one";', 'A::B:: "two";', 'APT::Periodic::X "1";', "nonsense"]
    assert AptSettings().process(told) == {"A::B::": ("one", "two"), "APT::Periodic::X": ("1",)}

"""Which packages make up the hosts' drivers: what a host's hardware decides, and when which host is asked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.errors import FleetError, HostError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import DriverLock, Lock
from rackwright.fleet.sections.driver import Driver
from rackwright.hardware.hardware import Hardware, parse_hardware
from rackwright.lifecycle.lock import driver_sets as drivers
from rackwright.lifecycle.lock.driver_sets import kind_of, resolve_drivers
from rackwright.remote import Completed
from tests.fleet.fleets import make_fleet
from tests.fleet.test_lock_file import make_lock
from tests.resolve.test_openpgp import BODY, PRINT, armored, old
from tests.roles.test_nvidia_packages import PRINTED

V100, A100, H100, GH200, B200, RTX_6000 = "1db6", "20b0", "2330", "2342", "2901", "2bb5"
SWITCH = "0000:87:00.0 0x068000 0x10de 0x22a3 0"
META = "installed linux-image-6.12.117+deb13-amd64\ninstalled linux-image-amd64\n"


def printed(*gpus: str, switches: int = 0, system: str = "debian 13", architecture: str = "amd64") -> str:
    """A host's report about its hardware."""
    devices = [f"0000:{0x10 + number:02x}:00.0 0x030200 0x10de 0x{gpu} 0" for number, gpu in enumerate(gpus)]
    devices += [SWITCH.replace("87", f"{0x87 + number:02x}") for number in range(switches)]
    mark = "0123456789abcdef"
    lines = [mark, f"{mark} facts", f"system {system}", f"architecture {architecture}", f"{mark} sys", *devices]
    return "".join(f"{line}\n" for line in lines)


def hardware(*gpus: str, **changes: Any) -> Hardware:
    return parse_hardware(printed(*gpus, **changes))


def driver(branch: str = "580", **changes: Any) -> Driver:
    return Driver.model_validate({"branch": branch, **changes})


MODULES = [
    (driver(), [H100], "open"),
    (driver(), [A100], "open"),
    (driver(modules="proprietary"), [A100], "proprietary"),
    (driver(), [V100], "proprietary"),
    (driver(), [B200], "open"),
    (driver(), [], "open"),
    (driver("570.86.15"), [B200], "open"),
]


@pytest.mark.parametrize(("asked", "gpus", "modules"), MODULES)
def test_modules_are_what_the_generation_needs(asked: Driver, gpus: list[str], modules: str) -> None:
    assert kind_of(asked, hardware(*gpus), META).modules == modules


UNFIT = [
    (driver("590"), [V100], "branch 590 doesn't support 1db6; 580 is the last that does"),
    (driver("550"), [B200], "branch 550 doesn't support 2901; 570 is the first that does"),
    (driver(), [V100, B200], "no kernel modules support all of its GPUs: their generations differ too much"),
    (driver(modules="open"), [V100], "its GPUs need proprietary modules; driver.modules asks for open"),
    (driver(modules="proprietary"), [B200], "its GPUs need open modules; driver.modules asks for proprietary"),
]


@pytest.mark.parametrize(("asked", "gpus", "why"), UNFIT)
def test_gpus_that_can_not_have_what_is_asked_are_named(asked: Driver, gpus: list[str], why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        kind_of(asked, hardware(*gpus), META)


@pytest.mark.parametrize(
    ("gpu", "switches", "needs"),
    [
        (H100, 0, ()),
        (H100, 4, ("fabric",)),
        (A100, 6, ("fabric",)),
        (RTX_6000, 0, ()),
        (B200, 0, ("fabric", "subnet")),
        (B200, 2, ("fabric", "subnet")),
        (GH200, 2, ("fabric",)),
    ],
)
def test_nvswitches_decide_on_fabric_and_subnet_manager(gpu: str, switches: int, needs: tuple[str, ...]) -> None:
    assert kind_of(driver(), hardware(gpu, switches=switches), META).needs == needs


def test_another_system_has_no_driver_of_ours() -> None:
    for system, shown in (("rocky 9.4", "rocky 9.4"), ("", "an unknown system")):
        with pytest.raises(ValueError, match=f"runs {shown}; drivers are installed only on Debian and Ubuntu"):
            kind_of(driver(), hardware(H100, system=system), "")


KERNELS = [
    ("debian 13", "amd64", META, "linux-image-amd64"),
    ("debian 13", "amd64", "installed linux-image-cloud-amd64\n", "linux-image-cloud-amd64"),
    ("debian 13", "arm64", "", "linux-image-arm64"),
    ("debian 13", "amd64", "config-files linux-image-rt-amd64\n", "linux-image-amd64"),
    ("ubuntu 24.04", "amd64", "installed linux-image-6.8.0-60-generic\ninstalled linux-image-generic\n",
     "linux-image-generic"),
    ("ubuntu 24.04", "amd64", "installed linux-image-unsigned-6.8.0-60-generic\n", "linux-image-generic"),
    ("ubuntu 24.04", "amd64",
     "installed linux-image-nvidia\ninstalled linux-image-unsigned-6.8.0-60-nvidia\n", "linux-image-nvidia"),
]  # fmt: skip


@pytest.mark.parametrize(("system", "architecture", "installed", "kernel"), KERNELS)
def test_the_kernel_of_a_set_is_what_brings_the_host_its_kernels(
    system: str, architecture: str, installed: str, kernel: str
) -> None:
    found = kind_of(driver(), hardware(H100, system=system, architecture=architecture), installed)
    assert found.kernel == kernel


def test_a_kernel_that_the_fleet_file_names_is_taken() -> None:
    asked = driver(kernel="linux-image-rt-amd64")
    assert kind_of(asked, hardware(H100), META).kernel == "linux-image-rt-amd64"


# Which hosts are asked.

HOSTS = {name: {"address": f"10.0.0.{number}"} for number, name in enumerate(("gate1", "gpu1", "gpu2", "gpu3"), 1)}
KEY = old(BODY, 2)


@dataclass
class Hosts:
    """Hosts that answer like real ones. `asked`: those that resolved packages; `looked`: that reported hardware."""

    hardware: dict[str, str] = field(default_factory=dict)
    apt: Completed = field(default_factory=lambda: Completed(0, PRINTED.encode()))
    key: bytes = KEY
    gone: tuple[str, ...] = ()
    asked: list[str] = field(default_factory=list)
    looked: list[str] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)

    def __call__(self, targets: object) -> Hosts:
        return self

    def __enter__(self) -> Hosts:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def run_on(self, names: Any, command: str) -> dict[str, Completed | HostError]:
        mark = re.findall(r"[0-9a-f]{32}", command)[0]
        self.looked += names
        return {
            name: HostError("unreachable", where=name)
            if name in self.gone
            else Completed(0, f"{META}\n{mark} 0 0\n{self.hardware.get(name, printed(H100))}\n{mark} 1 0\n".encode())
            for name in names
        }

    def connection(self, name: str) -> SimpleNamespace:
        def run(command: str, *, stdin: str = "", timeout: float = 0) -> Completed:
            if command.startswith("curl "):
                self.urls.append(command.split()[-1])
                return Completed(0, self.key)
            assert command == "sh -s"
            self.asked.append(name)
            self.scripts.append(stdin)
            return self.apt

        return SimpleNamespace(run=run)


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Hosts:
    made = Hosts()
    monkeypatch.setattr(drivers, "Remote", made)
    monkeypatch.setattr(drivers, "targets", lambda fleet: ())
    monkeypatch.setattr(drivers, "FINGERPRINTS", frozenset({PRINT}))
    return made


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(targets: object) -> None:
        raise AssertionError("a host was asked")

    monkeypatch.setattr(drivers, "Remote", explode)


def fleet(*entries: dict[str, Any]) -> Fleet:
    return make_fleet(Path("site.yml"), hosts=HOSTS, driver=list(entries))


def entry(*on: str, branch: str = "580", **changes: Any) -> dict[str, Any]:
    return {"branch": branch, "on": list(on), **changes}


def locked(*found: DriverLock) -> Lock:
    return make_lock(drivers={one.name: one for one in found})


def by_hosts(found: dict[str, DriverLock]) -> list[tuple[tuple[str, ...], str]]:
    assert all(name == one.name for name, one in found.items())
    return [(one.hosts, one.question) for one in found.values()]


ONE = "branch=580 source=nvidia"


def test_one_host_of_a_kind_is_asked_for_all_of_it(hosts: Hosts) -> None:
    found = resolve_drivers(fleet(entry("gpu2", "gpu1")), None, upgrade=False)
    assert by_hosts(found) == [(("gpu1", "gpu2"), ONE)]
    assert (len(hosts.asked), sorted(hosts.looked)) == (1, ["gpu1", "gpu2"])
    (made,) = found.values()
    assert (made.version, made.kernel, made.kernel_package) == (
        "580.95.05",
        "6.12.117+deb13-amd64",
        "linux-image-amd64",
    )
    assert hosts.urls == ["https://developer.download.nvidia.com/compute/cuda/repos/debian13/x86_64/8793F200.pub"]


def test_hosts_that_differ_in_what_they_need_are_asked_apart(hosts: Hosts) -> None:
    hosts.hardware = {"gpu1": printed(H100, switches=4), "gpu2": printed(V100)}
    resolve_drivers(fleet(entry("gpu1", "gpu2", "gpu3")), None, upgrade=False)
    assert hosts.asked == ["gpu1", "gpu2", "gpu3"]
    assert [" nvidia-fabricmanager|" in script for script in hosts.scripts] == [True, False, False]
    assert ["modules=proprietary\n" in script for script in hosts.scripts] == [False, True, False]


def test_an_answer_is_kept_and_nobody_is_asked(hosts: Hosts, request: pytest.FixtureRequest) -> None:
    of_two = fleet(entry("gpu1", "gpu2"))
    found = resolve_drivers(of_two, None, upgrade=False)
    request.getfixturevalue("nobody")
    assert resolve_drivers(of_two, locked(*found.values()), upgrade=False) == found
    with pytest.raises(AssertionError, match="a host was asked"):
        resolve_drivers(of_two, locked(*found.values()), upgrade=True)


@pytest.mark.usefixtures("nobody")
def test_what_is_adopted_or_left_alone_asks_nobody() -> None:
    left = fleet({"manage": "adopt", "on": "gpu1"}, {"manage": "no", "on": "gpu2"})
    assert resolve_drivers(left, None, upgrade=True) == {}


def test_a_new_host_of_a_known_kind_has_the_known_answer(hosts: Hosts) -> None:
    before = locked(*resolve_drivers(fleet(entry("gpu1")), None, upgrade=False).values())
    hosts.asked.clear()
    hosts.looked.clear()
    found = resolve_drivers(fleet(entry("gpu1", "gpu2")), before, upgrade=False)
    assert by_hosts(found) == [(("gpu1", "gpu2"), ONE)]
    assert (hosts.asked, hosts.looked) == ([], ["gpu2"])


def test_a_host_that_left_is_forgotten_and_a_new_question_is_asked(hosts: Hosts) -> None:
    before = locked(*resolve_drivers(fleet(entry("gpu1", "gpu2")), None, upgrade=False).values())
    hosts.asked.clear()
    assert by_hosts(resolve_drivers(fleet(entry("gpu2")), before, upgrade=False)) == [(("gpu2",), ONE)]
    assert hosts.asked == []
    assert len(resolve_drivers(fleet(entry("gpu1", branch="580.95.05")), before, upgrade=False)) == 1
    hosts.asked.clear()
    found = resolve_drivers(fleet(entry("gpu1"), entry("gpu2", branch="580.95.05")), before, upgrade=False)
    assert hosts.asked == ["gpu2"]
    assert by_hosts(found) == [(("gpu1",), ONE), (("gpu2",), "branch=580.95.05 source=nvidia")]


def test_an_upgrade_asks_again(hosts: Hosts) -> None:
    before = locked(*resolve_drivers(fleet(entry("gpu1")), None, upgrade=False).values())
    hosts.apt = Completed(0, PRINTED.replace("580.95.05", "580.105.08").encode())
    (found,) = resolve_drivers(fleet(entry("gpu1")), before, upgrade=True).values()
    assert found.version == "580.105.08"


def test_an_upgrade_of_some_hosts_leaves_the_others_their_set(hosts: Hosts) -> None:
    of_two = fleet(entry("gpu1", "gpu2"))
    before = locked(*resolve_drivers(of_two, None, upgrade=False).values())
    hosts.asked.clear()
    hosts.looked.clear()
    hosts.apt = Completed(0, PRINTED.replace("580.95.05", "580.105.08").encode())
    found = resolve_drivers(of_two, before, upgrade=True, hosts=("gpu2",))
    assert {one.hosts: one.version for one in found.values()} == {("gpu1",): "580.95.05", ("gpu2",): "580.105.08"}
    assert (hosts.asked, hosts.looked) == (["gpu2"], ["gpu2"])


# Failures.


def problems(of: Fleet) -> list[str]:
    with pytest.raises(FleetError) as caught:
        resolve_drivers(of, None, upgrade=False)
    return [str(problem) for problem in caught.value.problems]


def test_every_host_that_can_not_have_its_driver_is_named(hosts: Hosts) -> None:
    hosts.hardware = {"gpu1": printed(H100, system="rocky 9.4"), "gpu2": printed(V100, B200)}
    assert problems(fleet(entry("gpu1", "gpu2", "gpu3"))) == [
        "site.yml driver: gpu1: runs rocky 9.4; drivers are installed only on Debian and Ubuntu",
        "site.yml driver: gpu2: no kernel modules support all of its GPUs: their generations differ too much",
    ]
    assert hosts.asked == []


def test_what_apt_said_is_shown(hosts: Hosts) -> None:
    hosts.apt = Completed(1, b"", b"no open modules of branch 580; there are: x 570.1\n")
    assert problems(fleet(entry("gpu1"))) == [
        "site.yml driver: gpu1: no open modules of branch 580; there are: x 570.1; "
        "check driver.branch and driver.source"
    ]
    hosts.apt = Completed(0, b"version 580.95.05\n")
    assert problems(fleet(entry("gpu1")))[0].startswith("site.yml driver: gpu1: apt printed no complete set: ")


def test_a_host_out_of_reach_ends_it(hosts: Hosts) -> None:
    hosts.gone = ("gpu1",)
    with pytest.raises(HostError, match="gpu1: unreachable"):
        resolve_drivers(fleet(entry("gpu1")), None, upgrade=False)


STRANGER = old(BODY[:-1] + b"\x03", 2)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (STRANGER, " has [0-9A-F]{40}; NVIDIA's keys are "),
        (KEY + STRANGER, f" has {PRINT}, [0-9A-F]{{40}}; NVIDIA's keys are "),
        (b"", " has no key; NVIDIA's keys are "),
        (b"<html>", " is not an OpenPGP keyring; should be NVIDIA's public key"),
    ],
)
def test_only_nvidias_own_key_is_taken(hosts: Hosts, key: bytes, why: str) -> None:
    hosts.key = key
    (problem,) = problems(fleet(entry("gpu1")))
    assert re.search(why, problem)
    assert hosts.asked == []


@pytest.mark.parametrize("key", [KEY, armored(KEY)])
def test_the_key_goes_into_the_throwaway_root_in_the_middle_of_its_sources(hosts: Hosts, key: bytes) -> None:
    hosts.key = key
    resolve_drivers(fleet(entry("gpu1", mirror="https://mirror.lab/cuda")), None, upgrade=False)
    (script,) = hosts.scripts
    assert hosts.urls == ["https://mirror.lab/cuda/8793F200.pub"]
    assert (
        "URIs: https://mirror.lab/cuda\nSuites: ./\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n" in script
    )
    assert "Trusted" not in script


def test_a_folder_on_the_host_needs_no_key(hosts: Hosts) -> None:
    resolve_drivers(fleet(entry("gpu1", source="path", path="/srv/driver")), None, upgrade=False)
    assert (hosts.urls, "URIs: file:/srv/driver\nSuites: ./\nTrusted: yes\n" in hosts.scripts[0]) == ([], True)


def test_the_distributions_own_driver_has_its_components_and_no_repository_of_nvidia(hosts: Hosts) -> None:
    resolve_drivers(fleet(entry("gpu1", source="distribution")), None, upgrade=False)
    assert hosts.urls == []
    assert "components='contrib non-free non-free-firmware'\n" in hosts.scripts[0]
    assert "others=yes\n" in hosts.scripts[0]
    assert "developer.download" not in hosts.scripts[0]

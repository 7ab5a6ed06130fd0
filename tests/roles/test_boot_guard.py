"""The guard of the boot: the script itself, with stand-ins for a host's programs."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from rackwright.roles.nvidia_driver import files

WANTED = "580.95.05"
OLDER, NEWER = "6.12.99+deb13-amd64", "6.12.117+deb13-amd64"
NO_MODULE = f"kernel {NEWER} can't drive the GPUs: it has no module"
_ABSOLUTE = (
    "/boot/",
    "/lib/modules",
    "/etc/rackwright",
    "/etc/default",
    "/etc/grub.d",
    "/var/lib",
    "/proc/keys",
    "/sbin/ldconfig",
)
_PROGRAMS = {
    "ldconfig": "cat {root}/libraries 2>/dev/null || true",
    # modinfo -F FIELD FILE
    "modinfo": 'sed -n "s/^$2=//p" "$3"',
    "mokutil": "case $1 in --sb-state) cat {root}/secure ;; *) cat {root}/enrolled ;; esac 2>/dev/null",
    "update-grub": "echo called >>{root}/grub",
    "uname": "echo " + OLDER,
}


@dataclass
class Machine:
    """A folder that the script uses as a host's root."""

    root: Path

    def kernel(
        self, release: str, version: str | None = WANTED, *, name: str = "nvidia", signer: str = "", key: str = ""
    ) -> None:
        (self.root / f"boot/vmlinuz-{release}").write_text("")
        if version:
            module = self.root / f"lib/modules/{release}/updates/dkms/{name}.ko.xz"
            module.parent.mkdir(parents=True, exist_ok=True)
            module.write_text(f"version={version}\nsigner={signer}\nsig_key={key}\n")

    def libraries(self, version: str) -> None:
        (self.root / f"libnvidia-ml.so.{version}").write_text("")
        link = self.root / "libnvidia-ml.so.1"
        link.unlink(missing_ok=True)
        link.symlink_to(f"libnvidia-ml.so.{version}")
        (self.root / "libraries").write_text(f"\tlibnvidia-ml.so.1 (libc6,x86-64) => {link}\n")

    def secure_boot(self, *enrolled: str) -> None:
        """Turn on Secure Boot with keys of these serial numbers, which all have one name."""
        (self.root / "secure").write_text("SecureBoot enabled\n")
        key = "        Serial Number:\n            {}\n        Subject: CN=DKMS module signing key\n"
        (self.root / "enrolled").write_text("".join(key.format(one.lower()) for one in enrolled))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        text = files.BOOT_GUARD
        for path in _ABSOLUTE:
            assert path in text
            text = text.replace(path, f"{self.root}{path}")
        environment = {**os.environ, "PATH": f"{self.root}/bin:{os.environ['PATH']}"}
        return subprocess.run(
            ["sh", "-s", "--", *arguments], input=text, capture_output=True, text=True, timeout=120, env=environment
        )

    @property
    def pin(self) -> Path:
        return self.root / "etc/default/grub.d/zz-rackwright.cfg"

    @property
    def pinned(self) -> str | None:
        """The release of the kernel that GRUB would list first."""
        if not self.pin.exists():
            return None
        lines = self.pin.read_text().splitlines()
        assert lines[0].startswith("# Written by rackwright")
        assert lines[1] == "GRUB_DEFAULT=0"
        return lines[2].removeprefix(f"GRUB_TOP_LEVEL={self.root}/boot/vmlinuz-")

    @property
    def grubs(self) -> int:
        """How often GRUB's configuration was written."""
        path = self.root / "grub"
        return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    for folder in (
        "boot",
        "etc/rackwright",
        "bin",
        "sbin",
        "lib/modules",
        "etc/default/grub.d",
        "etc/grub.d",
        "var/lib/dkms",
        "proc",
    ):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "proc/keys").write_text("")
    for name, body in _PROGRAMS.items():
        folder = "sbin" if name == "ldconfig" else "bin"
        (tmp_path / folder / name).write_text(f"#!/bin/sh\n{body.format(root=tmp_path)}\n")
        (tmp_path / folder / name).chmod(0o755)
    made = Machine(tmp_path)
    made.libraries(WANTED)
    return made


def test_a_newest_kernel_that_fits_is_left_the_default(machine: Machine) -> None:
    machine.kernel(OLDER)
    machine.kernel(NEWER)
    done = machine.run()
    assert (done.returncode, done.stderr, machine.pinned, machine.grubs) == (0, "", None, 0)


def test_a_newest_kernel_without_a_module_is_not_the_default(machine: Machine) -> None:
    machine.kernel(OLDER)
    machine.kernel(NEWER, None)
    done = machine.run()
    assert done.returncode == 1
    assert done.stderr.splitlines() == [NO_MODULE, f"{OLDER} stays the boot default"]
    assert (machine.pinned, machine.grubs) == (OLDER, 1)


def test_a_grub_that_knows_how_to_put_a_kernel_first_is_told_so(machine: Machine) -> None:
    (machine.root / "etc/grub.d/10_linux").write_text('if [ -n "${GRUB_TOP_LEVEL}" ]; then\n')
    machine.kernel(OLDER)
    machine.kernel(NEWER, None)
    machine.run()
    assert machine.pinned == OLDER


def test_the_newest_of_those_that_fit_is_taken_by_number_not_by_letters(machine: Machine) -> None:
    for release in ("6.12.9-amd64", "6.12.10-amd64", "6.1.200-amd64"):
        machine.kernel(release)
    machine.kernel("6.12.100-amd64", None)
    machine.run()
    assert machine.pinned == "6.12.10-amd64"


def test_a_pin_that_stands_is_not_written_again(machine: Machine) -> None:
    machine.kernel(OLDER)
    machine.kernel(NEWER, None)
    machine.run()
    assert machine.run().returncode == 1
    assert machine.grubs == 1


def test_a_module_of_another_version_than_the_libraries_does_not_fit(machine: Machine) -> None:
    machine.kernel(OLDER)
    machine.kernel(NEWER, "570.86.15")
    done = machine.run()
    assert f"kernel {NEWER} can't drive the GPUs: its module is 570.86.15, the libraries are {WANTED}" in done.stderr
    assert machine.pinned == OLDER


@pytest.mark.parametrize("name", ["nvidia", "nvidia-current", "nvidia-current-open", "nvidia-tesla-535"])
def test_a_module_has_each_repositorys_own_name(machine: Machine, name: str) -> None:
    machine.kernel(NEWER, name=name)
    assert machine.run().returncode == 0


@pytest.mark.parametrize("name", ["nvidia-uvm", "nvidia-drm", "nvidiafb"])
def test_other_modules_of_a_like_name_are_not_the_driver(machine: Machine, name: str) -> None:
    machine.kernel(NEWER, name=name)
    assert machine.run().returncode == 1


def test_modprobe_takes_what_stands_in_updates_whatever_else_fits(machine: Machine) -> None:
    machine.kernel(NEWER, "570.1")
    other = machine.root / f"lib/modules/{NEWER}/kernel/drivers/nvidia.ko"
    other.parent.mkdir(parents=True)
    other.write_text(f"version={WANTED}\n")
    assert f"its module is 570.1, the libraries are {WANTED}" in machine.run().stderr


def test_where_no_kernel_fits_nothing_is_pinned(machine: Machine) -> None:
    machine.kernel(OLDER, None)
    machine.kernel(NEWER, None)
    done = machine.run()
    assert (done.returncode, done.stderr.splitlines(), machine.pinned) == (1, [NO_MODULE], None)


def test_a_host_without_a_driver_is_none_of_its_business(machine: Machine) -> None:
    (machine.root / "libraries").write_text("")
    machine.kernel(NEWER, None)
    assert (machine.run().returncode, machine.pinned) == (0, None)


def test_asking_says_the_same_and_changes_nothing(machine: Machine) -> None:
    machine.kernel(OLDER)
    machine.kernel(NEWER, None)
    done = machine.run("ask")
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, NO_MODULE)
    assert (machine.pinned, machine.grubs) == (None, 0)


def test_asking_leaves_a_pin_that_is_no_longer_needed(machine: Machine) -> None:
    machine.kernel(OLDER)
    machine.kernel(NEWER, None)
    machine.run()
    machine.kernel(NEWER)
    done = machine.run("ask")
    assert (done.returncode, done.stderr) == (1, f"kernel {NEWER} should boot by default, but doesn't yet\n")
    assert machine.pinned == OLDER


def test_the_kernel_that_the_lock_names_boots_though_a_newer_one_would_do(machine: Machine) -> None:
    (machine.root / "etc/rackwright/boot-kernel").write_text(f"{OLDER}\n")
    machine.kernel(OLDER)
    machine.kernel(NEWER)
    assert machine.run("ask").returncode == 1
    assert (machine.run().returncode, machine.pinned, machine.grubs) == (0, OLDER, 1)
    assert machine.run("ask").returncode == 0
    (machine.root / "etc/rackwright/boot-kernel").write_text(f"{NEWER}\n")
    assert (machine.run().returncode, machine.pinned) == (0, None)


def test_the_kernel_that_the_lock_names_is_not_booted_without_its_module(machine: Machine) -> None:
    (machine.root / "etc/rackwright/boot-kernel").write_text(f"{NEWER}\n")
    machine.kernel(OLDER)
    machine.kernel(NEWER, None)
    machine.kernel("6.12.200-amd64")
    assert machine.run().returncode == 1
    # The newest kernel that fits is the newest of all: it needs no pin.
    assert machine.pinned is None


def test_a_hold_that_names_a_kernel_which_is_gone_is_made_anew(machine: Machine) -> None:
    machine.kernel(OLDER)
    machine.kernel(NEWER)
    for text in ("GRUB_TOP_LEVEL=/boot/vmlinuz-6.1.1-gone\n", ""):
        machine.pin.write_text(text.replace("/boot", f"{machine.root}/boot"))
        assert (machine.run("hold").returncode, machine.pinned) == (0, OLDER)


def test_a_menu_that_could_not_be_written_is_no_hold_and_is_tried_again(machine: Machine) -> None:
    machine.kernel(OLDER)
    machine.kernel(NEWER)
    program = machine.root / "bin/update-grub"
    whole = program.read_text()
    program.write_text("#!/bin/sh\nexit 1\n")
    assert (machine.run("hold").returncode, machine.pinned) == (1, None)
    program.write_text(whole)
    assert (machine.run("hold").returncode, machine.pinned, machine.grubs) == (0, OLDER, 1)


def test_a_pin_is_removed_when_the_newest_kernel_fits_again(machine: Machine) -> None:
    machine.kernel(OLDER)
    machine.kernel(NEWER, None)
    machine.run()
    machine.kernel(NEWER)
    assert (machine.run().returncode, machine.pinned, machine.grubs) == (0, None, 2)


def test_holding_keeps_the_running_kernel_until_the_next_look(machine: Machine) -> None:
    machine.kernel(OLDER)
    machine.kernel(NEWER)
    done = machine.run("hold")
    assert (done.returncode, machine.pinned, machine.grubs) == (0, OLDER, 1)
    machine.run()
    assert machine.pinned is None


def test_where_nothing_can_hold_the_default_holding_fails(machine: Machine) -> None:
    machine.kernel(OLDER)
    (machine.root / "etc/default/grub.d").rmdir()
    done = machine.run("hold")
    assert (done.returncode, "this needs GRUB 2.12 or newer" in done.stderr) == (1, True)


def test_holding_does_not_loosen_a_pin(machine: Machine) -> None:
    machine.kernel("6.12.50-amd64")
    machine.kernel(OLDER, None)
    machine.kernel(NEWER, None)
    machine.run()
    machine.run("hold")
    assert machine.pinned == "6.12.50-amd64"


def test_where_the_running_kernel_is_not_in_boot_nothing_is_held(machine: Machine) -> None:
    machine.kernel(NEWER)
    assert (machine.run("hold").returncode, machine.pinned) == (0, None)


def test_while_a_kernel_is_installed_nothing_fails_and_grub_is_left_to_the_next_hook(machine: Machine) -> None:
    machine.kernel(OLDER)
    machine.kernel(NEWER, None)
    done = machine.run("look", "hook")
    assert (done.returncode, done.stderr.splitlines()[0]) == (0, NO_MODULE)
    assert (machine.pinned, machine.grubs) == (OLDER, 0)
    machine.kernel(NEWER)
    assert (machine.run("look", "hook").returncode, machine.pinned, machine.grubs) == (0, None, 0)


def test_what_is_held_stays_held_while_a_first_driver_is_installed(machine: Machine) -> None:
    """A kernel of the set is installed before the libraries: its hook finds a host without a driver."""
    (machine.root / "libraries").write_text("")
    machine.kernel(OLDER, None)
    machine.run("hold")
    machine.kernel(NEWER, None)
    machine.run("look", "hook")
    assert machine.pinned == OLDER


@pytest.mark.parametrize("grub", [None, "# of 2.06"])
def test_what_can_not_be_pinned_is_not_said_to_be(machine: Machine, grub: str | None) -> None:
    if grub is None:
        (machine.root / "etc/default/grub.d").rmdir()
    else:
        (machine.root / "etc/grub.d/10_linux").write_text(grub)
    machine.kernel(OLDER)
    machine.kernel(NEWER, None)
    done = machine.run()
    assert done.returncode == 1
    assert "stays the boot default" not in done.stderr
    assert f"{OLDER} can, but can't be kept as the boot default here" in done.stderr


def test_secure_boot_refuses_a_module_that_no_known_key_signed_and_says_what_to_do(machine: Machine) -> None:
    machine.secure_boot("0B:00:07")
    (machine.root / "var/lib/dkms/mok.pub").write_text("")
    machine.kernel(NEWER, signer="DKMS module signing key")
    done = machine.run()
    assert done.returncode == 1
    assert "Secure Boot is on and knows no key that signed its module; run: mokutil --import " in done.stderr
    assert f"{machine.root}/var/lib/dkms/mok.pub, choose a password, reboot, and enroll the key" in done.stderr


@pytest.mark.parametrize(("key", "fits"), [("3A:F0:11", True), ("3A:F0:12", False), ("", False)])
def test_secure_boot_takes_a_module_whose_key_is_enrolled_and_none_of_the_same_name(
    machine: Machine, key: str, fits: bool
) -> None:
    machine.secure_boot("0B:00:07", "3A:F0:11")
    (machine.root / "proc/keys").write_text("0b8a I------ 1 perm 1f030000 0 0 asymmetri DKMS module signing key: 7\n")
    machine.kernel(NEWER, signer="DKMS module signing key", key=key)
    assert (machine.run().returncode == 0) is fits


def test_the_distributions_own_key_is_known_to_the_kernel(machine: Machine) -> None:
    machine.secure_boot()
    (machine.root / "proc/keys").write_text("0b8a I------ 1 perm 1f030000 0 0 asymmetri Canonical Ltd. Kernel: 12\n")
    machine.kernel(NEWER, signer="Canonical Ltd. Kernel")
    assert machine.run().returncode == 0


def test_the_hook_of_kernels_never_fails(tmp_path: Path) -> None:
    for guard in (None, "#!/bin/sh\nexit 1\n"):
        script = files.hook("look hook").replace("/etc/rackwright/boot-guard", f"{tmp_path}/guard")
        if guard:
            (tmp_path / "guard").write_text(guard)
            (tmp_path / "guard").chmod(0o755)
        assert subprocess.run(["sh", "-e", "-s"], input=script, text=True).returncode == 0

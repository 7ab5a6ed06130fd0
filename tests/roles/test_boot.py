"""The script that boots a kernel once, on a stand-in for a host's root; and the role that installs it."""

from __future__ import annotations

import hashlib
import shlex
import subprocess
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from rackwright.deploys import baseline
from rackwright.operations.facts.ours import OurFiles
from rackwright.operations.facts.path_state import Found, PathState
from rackwright.roles.boot import scripts
from rackwright.roles.boot.one_boot import (
    OneBoot,
    arm_command,
    commit_command,
    disarm_command,
    hold_command,
    look_command,
    parse_one_boot,
)
from rackwright.roles.boot.role import boot
from rackwright.roles.boot.settings import FILES, SCRIPT, Settings
from tests.fakes import play
from tests.roles.one_boot_host import NEW, OLD, Host

_NO_WATCHDOG = "it has no hardware watchdog, so a kernel that hangs without a panic stays as it is"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host that runs the old kernel; the new one was installed just now, and GRUB would boot it."""
    made = Host(tmp_path)
    made.up()
    made.kernel(NEW)
    made.update_grub()
    return made


def seen(state: str, armed: str | None, running: str, default: str) -> OneBoot:
    return parse_one_boot(
        f"state {state}\narmed {armed or '-'}\nrunning {running}\ndefault {default}\nhands no-watchdog\n"
    )


@pytest.mark.parametrize("path", scripts.ALL)
def test_scripts_stay_under_sixty_lines_and_shellcheck_finds_nothing(path: str) -> None:
    text = scripts.ALL[path]
    assert len(text.splitlines()) < 60
    assert all(len(line) <= 120 for line in text.splitlines())
    command = ["shellcheck", "-s", "sh", "-e", "SC1090,SC1091,SC2034,SC2154", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_without_it_a_new_kernel_boots_by_default(host: Host) -> None:
    assert host.look() == seen("none", None, OLD, NEW)


def test_what_is_armed_boots_once_and_the_running_kernel_by_default(host: Host) -> None:
    host.does("arm", NEW)
    assert host.look() == seen("armed", NEW, OLD, OLD)
    assert host.env["next_entry"] == "rackwright-once"
    assert f"gnulinux-{OLD}-advanced-" in host.env["saved_entry"]
    host.boots(NEW)
    assert host.look() == seen("booted", NEW, NEW, OLD)
    host.boots(OLD)
    assert host.look() == seen("fell-back", NEW, OLD, OLD)


def test_only_the_armed_entry_reboots_after_a_panic_and_what_grub_can_not_load_has_a_fallback(host: Host) -> None:
    host.does("arm", NEW)
    lines = [line.strip() for line in host.once.read_text().splitlines()]
    (before, once) = (line for line in lines if line.startswith("menuentry"))
    assert before.endswith("--class debian --unrestricted $menuentry_id_option 'rackwright-before' {")
    assert once.endswith("$menuentry_id_option 'rackwright-once' {")
    (old, new) = (line for line in lines if line.startswith("linux"))
    assert old.split()[1] == f"/boot/vmlinuz-{OLD}"
    assert new.split()[1:] == [f"/boot/vmlinuz-{NEW}", *new.split()[2:5], "panic=10"]
    assert host.menu.count("panic=") == 1
    assert lines.count("}") == 2
    # GRUB's first entry is the old kernel's.
    assert "set fallback=0" in lines
    assert host.menu.index("rackwright-before") < host.menu.index("gnulinux-")


def test_arming_again_changes_nothing(host: Host) -> None:
    host.does("arm", NEW)
    before = (host.grubs, host.env, host.once.stat().st_ino, host.kept.stat().st_ino)
    host.does("arm", NEW)
    assert (host.grubs, host.env, host.once.stat().st_ino, host.kept.stat().st_ino) == before


def test_another_kernel_takes_the_place_of_the_armed_one(host: Host) -> None:
    host.kernel("6.12.119-amd64")
    host.update_grub()
    host.does("arm", NEW)
    host.does("arm", "6.12.119-amd64")
    assert host.look() == seen("armed", "6.12.119-amd64", OLD, OLD)
    assert f"/boot/vmlinuz-{NEW} " not in host.once.read_text()


def test_a_hook_or_the_guard_between_arm_and_commit_changes_nothing_of_what_boots(host: Host) -> None:
    host.does("arm", NEW)
    newest = "6.12.200-amd64"
    host.kernel(newest)
    pin = host.root / "etc/default/grub.d/zz-rackwright.cfg"
    pin.write_text(f"GRUB_DEFAULT=0\nGRUB_TOP_LEVEL=/boot/vmlinuz-{newest}\n")
    host.update_grub()
    assert host.look() == seen("armed", NEW, OLD, OLD)
    assert "'rackwright-once'" in host.menu


def test_what_is_held_stays_the_default_whatever_is_installed(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.up()
    host.does("hold")
    writes = host.grubs
    host.does("hold")
    assert host.grubs == writes
    host.kernel(NEW)
    host.update_grub()
    assert host.look() == seen("none", None, OLD, OLD)


def test_a_committed_kernel_is_the_default_and_grub_chooses_again(host: Host) -> None:
    host.does("arm", NEW)
    host.boots(NEW)
    host.does("commit")
    assert host.look() == seen("none", None, NEW, NEW)
    assert not host.kept.exists()
    assert not host.once.exists()
    assert 'set default="0"' in host.menu
    assert "rackwright" not in host.menu
    writes = host.grubs
    host.does("commit")
    assert host.grubs == writes


def test_a_commit_that_is_cut_off_has_made_the_running_kernel_the_default(host: Host) -> None:
    host.does("arm", NEW)
    host.boots(NEW)
    (host.root / "grub-fails").write_text("")
    assert host.run("commit").returncode == 1
    assert host.look() == seen("none", None, NEW, NEW)
    (host.root / "grub-fails").unlink()
    host.does("commit")
    assert host.look() == seen("none", None, NEW, NEW)


def test_a_committed_kernel_that_grub_would_not_choose_stays_held(host: Host) -> None:
    host.boots(NEW)
    host.does("arm", OLD)
    host.boots(OLD)
    host.does("commit")
    assert host.look() == seen("none", None, OLD, OLD)
    writes = host.grubs
    host.does("commit")
    assert host.grubs == writes


def test_the_guard_may_choose_another_kernel_and_the_committed_one_boots_all_the_same(host: Host) -> None:
    pin = host.root / "etc/default/grub.d/zz-rackwright.cfg"
    guard = host.root / "etc/rackwright/boot-guard"
    guard.write_text(
        f"#!/bin/sh\nprintf 'GRUB_DEFAULT=0\\nGRUB_TOP_LEVEL=/boot/vmlinuz-{OLD}\\n' >{pin}; update-grub; exit 1\n"
    )
    guard.chmod(0o755)
    host.does("arm", NEW)
    host.boots(NEW)
    host.does("commit")
    assert pin.exists()
    assert host.look() == seen("none", None, NEW, NEW)


@pytest.mark.parametrize("act", ["commit", "hold", "arm"])
def test_after_a_fallback_nothing_changes_before_a_disarm(host: Host, act: str) -> None:
    host.does("arm", NEW)
    host.boots(NEW)
    host.boots(OLD)
    before = (host.env, host.menu)
    done = host.run(act, *([NEW] if act == "arm" else []))
    assert done.returncode == 1
    assert f"kernel {NEW}" in done.stderr
    assert "disarm" in done.stderr
    assert (host.env, host.menu) == before
    host.does("disarm")
    assert host.look() == seen("none", None, OLD, OLD)
    host.does("commit")
    assert host.look().default == OLD


@pytest.mark.parametrize("act", ["hold", "arm"])
def test_a_kernel_that_is_tried_does_not_become_the_default_without_a_commit(host: Host, act: str) -> None:
    host.does("arm", NEW)
    host.boots(NEW)
    assert host.run(act, *([NEW] if act == "arm" else [])).returncode == 1
    assert host.look() == seen("booted", NEW, NEW, OLD)


def test_what_is_armed_but_was_not_booted_is_not_committed(host: Host) -> None:
    host.does("arm", NEW)
    done = host.run("commit")
    assert (done.returncode, f"{NEW} is armed, but {OLD} runs" in done.stderr) == (1, True)
    assert host.look() == seen("armed", NEW, OLD, OLD)


def test_a_disarmed_host_boots_the_kernel_that_runs(host: Host) -> None:
    host.does("arm", NEW)
    host.does("disarm")
    assert host.look() == seen("none", None, OLD, OLD)
    assert host.env["next_entry"] == ""
    assert not host.once.exists()
    assert "rackwright" not in host.menu
    host.does("disarm")


def test_an_entry_that_someone_took_back_by_hand_is_not_armed(host: Host) -> None:
    host.does("arm", NEW)
    host.tool("grub-editenv", str(host.root / "boot/grub/grubenv"), "unset", "next_entry")
    assert host.look() == seen("none", None, OLD, OLD)
    host.does("arm", NEW)
    assert host.look().state == "armed"


def test_the_running_kernel_is_held_and_not_armed(host: Host) -> None:
    host.does("arm", NEW)
    host.does("arm", OLD)
    assert host.look() == seen("none", None, OLD, OLD)
    assert not host.once.exists()


@pytest.mark.parametrize(
    "kernel",
    ["", "6.13-amd64", "6.12.118", f"{NEW}\n", f"$(touch hit){NEW}", "a b", f"x/{NEW}", NEW.replace(".", r"\056")],
)
def test_only_a_kernel_of_grubs_menu_is_armed(host: Host, kernel: str) -> None:
    before = host.menu
    assert host.run("arm", kernel).returncode == 1
    assert (host.env, host.menu) == ({}, before)


def test_a_menu_that_could_not_be_written_arms_nothing(host: Host) -> None:
    (host.root / "grub-fails").write_text("")
    done = host.run("arm", NEW)
    assert (done.returncode, done.stderr) == (1, "update-grub failed; run it to see why\n")
    assert host.env.get("next_entry", "") == ""
    (host.root / "grub-fails").unlink()
    host.does("arm", NEW)
    assert host.look() == seen("armed", NEW, OLD, OLD)


def test_a_default_that_another_file_sets_is_no_hold_and_nothing_is_armed(host: Host) -> None:
    (host.root / "etc/default/grub.d/zzzz.cfg").write_text("GRUB_DEFAULT=0\n")
    done = host.run("arm", NEW)
    assert (done.returncode, f"kernel {OLD} isn't the default" in done.stderr) == (1, True)
    assert host.env.get("next_entry", "") == ""
    assert host.look() == seen("none", None, OLD, NEW)


def test_an_environment_that_is_full_stays_as_it_was(host: Host) -> None:
    path = host.root / "boot/grub/grubenv"
    host.tool("grub-editenv", str(path), "create")
    host.tool("grub-editenv", str(path), "set", f"others={'x' * 850}")
    before = path.read_bytes()
    assert host.run("arm", NEW).returncode == 1
    assert path.read_bytes() == before


def test_other_values_in_the_environment_stay(host: Host) -> None:
    path = str(host.root / "boot/grub/grubenv")
    host.tool("grub-editenv", path, "create")
    host.tool("grub-editenv", path, "set", "others=kept", "prev_saved_entry=1")
    host.does("arm", NEW)
    assert host.env["others"] == "kept"
    # GRUB would make it the default at the next boot.
    assert host.env["prev_saved_entry"] == ""


def test_a_menu_without_a_submenu_is_understood(host: Host) -> None:
    program = host.root / "bin/update-grub"
    lines = program.read_text().splitlines(keepends=True)
    program.write_text("".join(line for line in lines if "submenu " not in line and line != "  echo '}'\n"))
    host.update_grub()
    host.does("arm", NEW)
    assert ">" not in host.env["saved_entry"]
    assert host.look() == seen("armed", NEW, OLD, OLD)


def test_a_separate_boot_partition_is_understood(host: Host) -> None:
    program = host.root / "bin/update-grub"
    program.write_text(
        program.read_text().replace("\tlinux\t/boot/", "\tlinux\t/").replace("initrd\t/boot/", "initrd\t/")
    )
    host.update_grub()
    host.does("arm", NEW)
    assert host.look() == seen("armed", NEW, OLD, OLD)


# What needs hands.


def test_a_watchdog_guards_the_new_kernel_until_it_is_committed(host: Host) -> None:
    (host.root / "dev/watchdog0").symlink_to("/dev/null")
    assert host.look().hands == ()
    host.does("arm", NEW)
    assert host.watchdog.read_text().splitlines()[1:] == ["[Manager]", "RuntimeWatchdogSec=3min"]
    host.boots(NEW)
    host.does("commit")
    assert not host.watchdog.exists()


def test_a_watchdog_of_the_operators_is_left(host: Host) -> None:
    (host.root / "dev/watchdog0").symlink_to("/dev/null")
    (host.root / "runtime-watchdog").write_text("30s\n")
    host.does("arm", NEW)
    assert not host.watchdog.exists()


def test_without_a_watchdog_it_is_said_that_a_hang_needs_hands(host: Host) -> None:
    assert (host.look().hands, host.look().can_arm) == ((_NO_WATCHDOG,), True)
    host.does("arm", NEW)
    assert not host.watchdog.exists()


@pytest.mark.parametrize(
    ("system", "abstraction", "named"),
    [
        ("btrfs", "", "btrfs"),
        ("zfs", "", "zfs"),
        ("ext2", "lvm", "lvm"),
        ("ext2", "diskfilter mdraid1x", "diskfilter"),
    ],
)
def test_where_grub_can_not_write_nothing_is_armed_but_the_default_can_be_held(
    host: Host, system: str, abstraction: str, named: str
) -> None:
    host.lies_on(system, abstraction)
    assert not host.look().can_arm
    assert host.look().hands[0] == f"GRUB can't write to /boot ({named}), so it can't boot a kernel only once"
    done = host.run("arm", NEW)
    assert (done.returncode, f"its boot loader can't do that: read-only {named}" in done.stderr) == (1, True)
    assert host.env == {}
    host.does("hold")
    assert host.look().default == OLD


def test_a_file_system_that_grub_can_write_to_is_fine(host: Host) -> None:
    host.lies_on("xfs", "cryptodisk luks2")
    assert host.look().can_arm


def test_a_file_system_that_can_not_be_found_out_is_not_taken_for_a_good_one(host: Host) -> None:
    (host.root / "fs").unlink()
    assert (host.look().can_arm, host.run("arm", NEW).returncode) == (False, 1)


@pytest.mark.parametrize("missing", ["container", "menu", "program", "line", "entry", "once"])
def test_a_host_without_a_grub_of_its_own_changes_nothing(host: Host, missing: str) -> None:
    if missing == "container":
        (host.root / "container").write_text("")
    elif missing == "menu":
        (host.root / "boot/grub/grub.cfg").unlink()
    elif missing == "program":
        (host.root / "bin/update-grub").unlink()
    elif missing == "line":
        (host.root / "proc/cmdline").write_text("root=/dev/sda1 quiet\n")
    else:
        text = host.menu.replace(f"vmlinuz-{OLD}", "vmlinuz-6.1") if missing == "entry" else "menuentry 'a' {\n}\n"
        (host.root / "boot/grub/grub.cfg").write_text(text)
    looked = host.look()
    assert not looked.can_arm
    assert len(looked.hands) == 2
    for act in (["arm", NEW], ["hold"], ["commit"]):
        assert host.run(*act).returncode == 1
    assert host.env == {}
    host.does("disarm")


def test_another_word_is_refused(host: Host) -> None:
    assert host.run("rearm").returncode == 1


# The commands and their answers.


def test_commands_name_the_script_and_quote_what_they_are_given() -> None:
    assert [shlex.split(command) for command in (hold_command(), disarm_command(), commit_command())] == [
        [SCRIPT, "hold"],
        [SCRIPT, "disarm"],
        [SCRIPT, "commit"],
    ]
    assert shlex.split(look_command()) == [SCRIPT, "look"]
    assert shlex.split(arm_command("6; reboot $(x)")) == [SCRIPT, "arm", "6; reboot $(x)"]


GOOD = f"state armed\narmed {NEW}\nrunning {OLD}\ndefault {OLD}\nhands read-only lvm\nhands no-watchdog\n"


def test_an_answer_is_read() -> None:
    assert parse_one_boot(GOOD) == OneBoot(
        "armed",
        NEW,
        OLD,
        OLD,
        ("GRUB can't write to /boot (lvm), so it can't boot a kernel only once", _NO_WATCHDOG),
        can_arm=False,
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        GOOD.replace("state armed\n", ""),
        GOOD.replace("state armed", "state good"),
        GOOD.replace("state armed", "state none"),
        GOOD.replace(f"armed {NEW}", "armed -"),
        GOOD.replace(f"running {OLD}", "running -"),
        GOOD.replace(f"running {OLD}", "running \x1b[2J"),
        GOOD.replace(f"default {OLD}", f"default {'6' * 65}"),
        GOOD.replace("lvm", "LVM!"),
        GOOD.replace("no-watchdog", "be afraid"),
        GOOD + "\n" * 2000,
    ],
)
def test_an_answer_that_is_not_the_scripts_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="answer"):
        parse_one_boot(text)


# The role.


def test_every_file_of_it_is_found_when_the_fleet_no_longer_names_it(tmp_path: Path) -> None:
    for path in FILES:
        (tmp_path / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path.lstrip("/")).write_text("")
    command = OurFiles().command().replace("/etc/", f"{tmp_path}/etc/")
    found = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout.split()
    assert set(found) == {f"{tmp_path}{path}" for path in FILES}


@pytest.mark.parametrize("settings", [Settings(), None])
def test_the_base_system_has_it_where_the_spec_has_it(
    monkeypatch: pytest.MonkeyPatch, settings: Settings | None
) -> None:
    played: list[str] = []
    roles = [
        name
        for name, value in vars(baseline).items()
        if getattr(value, "__module__", "").startswith("rackwright.roles")
    ]
    for name in roles:
        monkeypatch.setattr(baseline, name, lambda name=name, **_: played.append(name))
    spec = MagicMock(boot=settings, patch=None)
    monkeypatch.setattr(baseline, "host", SimpleNamespace(data=SimpleNamespace(spec=spec)))
    baseline.baseline()
    assert ("boot" in played) is (settings is not None)


def test_the_role_writes_the_script_after_its_parts_and_changes_nothing_again() -> None:
    played = play(boot, facts={PathState: None})
    assert [path.removesuffix(".rackwright-new") for path in played.uploads] == [
        f"{SCRIPT}.menu",
        f"{SCRIPT}.arm",
        SCRIPT,
    ]
    found = {
        (PathState, path): Found(
            "regular file",
            0o755 if path == SCRIPT else 0o644,
            "root",
            "root",
            hashlib.sha256(text.encode()).hexdigest(),
        )
        for path, text in scripts.ALL.items()
    }
    assert play(boot, facts=found).commands == []

"""The operations on a real host: a second run of each changes nothing."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rackwright.launch import BUILDS
from rackwright.roles.llama_cpp.settings import Settings as LlamaCpp
from rackwright.route import DIRECT
from rackwright.run import Outcome
from rackwright.values.file import File
from rackwright.values.secrets import Secret
from tests.lab.deployed import LabHost
from tests.lab.labs import fresh_lab
from tests.waiting import wait_until

pytestmark = pytest.mark.lab

_UNIT = """[Unit]
Description=Sleep
[Service]
Type=notify
ExecStart=/usr/bin/sleep {seconds}
ExecReload=/usr/bin/true
TimeoutStartSec=infinity
[Install]
WantedBy=multi-user.target
"""
_FAILS = """[Service]
ExecStart=/bin/sh -c 'grep -q right /etc/read-by-fails && exec sleep infinity'
ExecReload=/usr/bin/true
Restart=on-failure
RestartSec=1h
[Install]
WantedBy=multi-user.target
"""


@pytest.fixture(scope="module")
def host() -> Iterator[LabHost]:
    with fresh_lab("operations", "one") as lab:
        yield LabHost(lab, lab.fleet(), "one")


def twice(host: LabHost, deploy: Callable[[], None]) -> None:
    assert host.applied(deploy).changes
    assert host.plan(deploy).changes == 0


def test_a_checked_file_is_written_whole_and_its_diff_shown(host: LabHost) -> None:
    def write(content: str | Secret, mode: str = "0640") -> Callable[[], None]:
        def deploy() -> None:
            from rackwright.operations.filesystem.file import checked_file

            checked_file(
                name="Write",
                path="/etc/it's a file",
                content=content,
                mode=mode,
                group="adm",
                check="grep -q good {path}",
            )

        return deploy

    twice(host, write("good\n"))
    assert host.tell("stat -c '%a %U %G' \"/etc/it's a file\"") == "640 root adm"
    (step,) = host.plan(write("good\nbetter\n")).steps
    assert (step.diff or "").endswith("@@ -1 +1,2 @@\n good\n+better")
    (step,) = host.plan(write(Secret("good\nsecret\n"))).steps
    assert step.diff == "content differs"
    assert host.apply(write("bad\n")).failed_hosts == ("one",)
    assert host.tell('cat "/etc/it\'s a file"; ls /etc | grep -c rackwright-new || true') == "good\n0"
    twice(host, write("good\n", mode="0600"))
    twice(host, write(Secret("good\nsecret\n"), mode="0600"))


def test_a_broken_link_and_a_link_are_replaced_by_the_file(host: LabHost) -> None:
    def deploy() -> None:
        from rackwright.operations.filesystem.file import checked_file

        checked_file(name="Write", path="/etc/linked", content="text\n")

    host.tell("printf 'text\\n' > /etc/target; ln -s target /etc/linked")
    twice(host, deploy)
    assert host.tell("readlink /etc/linked; stat -c %F /etc/linked") == "regular file"


def test_folders_users_groups_and_absent_paths(host: LabHost) -> None:
    def deploy() -> None:
        from rackwright.operations.filesystem.absent import absent
        from rackwright.operations.filesystem.file import kept_file
        from rackwright.operations.filesystem.folder import folder
        from rackwright.operations.user import system_group, system_user

        folder(name="Folder", path="/srv/a folder/deep", mode="2750", group="adm")
        kept_file(name="Keep", path="/srv/kept", mode="0640", group="adm")
        system_group(name="Group", group="rackwright")
        system_user(name="User", user="rw-assistant", groups=("rackwright",))
        absent(name="Absent", paths=("/srv/gone", "/srv/gone too"))

    host.tell("mkdir -p '/srv/gone too/x'; ln -s nowhere /srv/gone; echo kept > /srv/kept; chmod 600 /srv/kept")
    twice(host, deploy)
    assert host.tell("stat -c '%a %G' '/srv/a folder/deep'; cat /srv/kept; id -nG rw-assistant") == (
        "2750 adm\nkept\nrw-assistant rackwright"
    )
    assert host.tell("getent passwd rw-assistant").endswith("rackwright:/nonexistent:/usr/sbin/nologin")
    assert not host.holds("ls -d /srv/gone*")


def test_a_unit_that_still_starts_counts_as_running_and_restarts_when_its_file_changed(host: LabHost) -> None:
    def sleeping(seconds: int, *, start: bool = True) -> Callable[[], None]:
        def deploy() -> None:
            from rackwright.operations.unit import running, systemd_unit

            unit = "rackwright-sleep@1.service"
            systemd_unit(name="Unit", unit=unit, content=_UNIT.format(seconds=seconds), verify=True)
            if start:
                running(name="Run", unit=unit, restart_files=(f"/etc/systemd/system/{unit}",))

        return deploy

    host.applied(sleeping(100, start=False))
    host.tell("systemctl start --no-block rackwright-sleep@1.service")
    assert host.tell("systemctl is-active rackwright-sleep@1.service || true") == "activating"
    assert host.plan(sleeping(100)).changes == 0
    # A run was cut off between writing the unit and restarting it: the next run restarts it.
    host.applied(sleeping(200, start=False))
    (_, run) = host.plan(sleeping(200)).steps
    assert run.outcome is Outcome.WOULD_CHANGE
    host.tell("systemctl stop rackwright-sleep@1.service")


def test_what_was_reloaded_since_its_file_changed_is_not_reloaded_again(host: LabHost) -> None:
    def deploy() -> None:
        from rackwright.operations.filesystem.file import checked_file
        from rackwright.operations.unit import running, systemd_unit

        text = _UNIT.format(seconds=1000).replace("notify", "exec")
        written = checked_file(name="Write", path="/etc/read-by-it", content="two\n")
        systemd_unit(name="Unit", unit="rackwright-reads.service", content=text)
        running(name="Run", unit="rackwright-reads.service", reload_if=[written], reload_files=("/etc/read-by-it",))

    twice(host, deploy)
    started = host.tell("systemctl show -p ExecMainPID rackwright-reads.service")
    host.tell("echo one > /etc/read-by-it")
    twice(host, deploy)
    host.tell("touch /etc/read-by-it")
    twice(host, deploy)
    assert host.tell("systemctl show -p ExecMainPID rackwright-reads.service") == started


def test_a_unit_that_fails_again_and_again_runs_once_the_file_that_it_reads_is_right(host: LabHost) -> None:
    def reading(word: str) -> Callable[[], None]:
        def deploy() -> None:
            from rackwright.operations.filesystem.file import checked_file
            from rackwright.operations.unit import running, systemd_unit

            unit = "rackwright-fails.service"
            written = checked_file(name="Write", path="/etc/read-by-fails", content=f"{word}\n")
            systemd_unit(name="Unit", unit=unit, content=_FAILS)
            running(name="Run", unit=unit, reload_if=[written], reload_files=("/etc/read-by-fails",))

        return deploy

    host.applied(reading("wrong"))
    wait_until(lambda: host.tell("systemctl show -P SubState rackwright-fails.service") == "auto-restart")
    twice(host, reading("right"))
    assert host.tell("systemctl show -P SubState rackwright-fails.service") == "running"
    host.tell("systemctl stop rackwright-fails.service")


def test_a_unit_that_systemd_cannot_read_never_takes_its_place(host: LabHost) -> None:
    def deploy() -> None:
        from rackwright.operations.unit import systemd_unit

        systemd_unit(name="Unit", unit="rackwright-bad.service", content="[Service]\nExecStart=no\n", verify=True)

    assert host.apply(deploy).failed_hosts == ("one",)
    assert not host.holds("ls /etc/systemd/system/rackwright-bad*")


def test_units_and_users_that_are_not_kept_are_removed(host: LabHost) -> None:
    def deploy() -> None:
        from rackwright.operations.retired import retired_units, retired_users

        retired_units(name="Units", keep=("rackwright-kept.service",))
        retired_users(name="Users", keep=("rw-kept",))

    units = "/etc/systemd/system"
    host.tell(
        f"printf '[Service]\\nExecStart=/bin/sleep 9999\\n[Install]\\nWantedBy=multi-user.target\\n' | "
        f"tee {units}/rackwright-old@1.service {units}/rackwright-kept.service > {units}/other.service; "
        f"printf '[Timer]\\nOnActiveSec=1\\n' > {units}/rackwright-old@1.timer; systemctl daemon-reload; "
        "systemctl -q enable --now rackwright-old@1.service rackwright-old@1.timer rackwright-kept.service; "
        "useradd -r -c rackwright rw-old; useradd -r -c rackwright rw-kept; useradd rw-walter"
    )
    twice(host, deploy)
    assert not host.holds("systemctl is-active rackwright-old@1.service rackwright-old@1.timer")
    assert host.tell(f"ls -R {units} | grep -e rackwright-old -e rw-old || true") == ""
    assert host.tell("systemctl is-active rackwright-kept.service") == "active"
    assert host.tell("getent passwd rw-old rw-kept rw-walter | cut -d: -f1") == "rw-kept\nrw-walter"


def test_a_build_of_the_controller_comes_back_from_a_snapshot_without_the_controller(
    host: LabHost, tmp_path: Path
) -> None:
    archive = tmp_path / "llama b1.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        program = tarfile.TarInfo("llama-b1/llama-server")
        text = b"#!/bin/sh\necho version: 1\n"
        program.size, program.mode = len(text), 0o755
        tar.addfile(program, io.BytesIO(text))
    content = archive.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    files = (File(path=archive.name, size=len(content), sha256=digest, url=f"file:{archive}"),)
    kept = f"{BUILDS}/llama_cpp-b1-{digest[:16]}"

    def deploy() -> None:
        from rackwright.roles.llama_cpp.role import llama_cpp

        llama_cpp(settings=LlamaCpp(kind="llama_cpp", version="b1"), files=files, route=DIRECT, kept=kept)

    twice(host, deploy)
    assert host.tell(f"stat -c '%a %U' {kept} {BUILDS}") == "555 root\n700 root"
    archive.unlink()
    lost = f"tar -C / -cf /root/snapshot.tar {BUILDS[1:]} && rm -rf {BUILDS} /opt/rackwright"
    host.tell(f"{lost} && tar -C / -xf /root/snapshot.tar")
    twice(host, deploy)
    assert host.tell("/opt/rackwright/runtimes/llama_cpp-b1/llama-server") == "version: 1"

    # A snapshot that isn't what the lock says is never installed.
    host.tell(f"rm -rf /opt/rackwright && cd {kept} && printf x | dd of='{archive.name}' conv=notrunc status=none")
    failed = host.apply(deploy)
    assert any("is missing on the controller" in line for step in failed.steps for line in step.output)
    assert not host.holds("test -e /opt/rackwright/runtimes/llama_cpp-b1")
    archive.write_bytes(content)
    twice(host, deploy)


def test_a_package_comes_without_its_service_having_run(host: LabHost) -> None:
    def deploy() -> None:
        from rackwright.operations.packages import installed

        installed(name="Install HAProxy", packages=("haproxy",), unstarted=("haproxy.service",))

    twice(host, deploy)
    assert host.tell("systemctl is-enabled haproxy.service || true") == "disabled"
    assert host.tell("journalctl -q -o cat -u haproxy.service") == ""
    # If an operator enables it, it stays enabled.
    host.tell("systemctl enable --now haproxy.service")
    assert host.plan(deploy).changes == 0
    assert host.tell("systemctl is-enabled haproxy.service") == "enabled"


def test_a_package_that_does_not_exist_fails_with_apts_own_words(host: LabHost) -> None:
    def deploy() -> None:
        from rackwright.operations.packages import installed

        installed(name="Install", packages=("no-such-package-at-all",))

    (step,) = host.apply(deploy).steps
    assert step.outcome is Outcome.FAILED
    assert any("Unable to locate package no-such-package-at-all" in line for line in step.output)

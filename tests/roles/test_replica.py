from __future__ import annotations

import os
import subprocess
import time
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from rackwright.launch import Engine, Launch, Member, Reach
from rackwright.operations.facts.hardware import GpuFiles, HostHardware
from rackwright.operations.facts.path_state import Found, PathState
from rackwright.roles.llama_cpp.settings import Settings as LlamaCpp
from rackwright.roles.replica.gpus import Device, Given, render_gpus, uuids_in
from rackwright.roles.replica.role import gpus_of, replica
from rackwright.roles.replica.state import COMMAND as STATES
from rackwright.roles.replica.state import PausedKey, parse
from rackwright.roles.replica.unit import render
from tests.fakes import commands, play
from tests.roles.serving import REPLICA
from tests.roles.test_gpus import gpu, hardware


def test_systemd_expands_nothing_in_a_command() -> None:
    assert '"50%% of $$HOME" \\\n  "a \\"quote\\""' in render(REPLICA)


def test_systemd_waits_longer_than_the_longest_drain() -> None:
    assert "TimeoutStopSec=630\n" in render(REPLICA)


def test_devices_are_open_to_gpu_replicas_alone() -> None:
    assert "PrivateDevices=yes" in render(REPLICA)
    assert "PrivateDevices=yes" not in render(REPLICA.model_copy(update={"gpus": 1}))


def test_the_role_starts_an_engine_and_never_restarts_one() -> None:
    ran = commands(replica, settings=REPLICA)
    assert any(command.startswith("systemctl start") for command in ran)
    running = commands(
        replica, answers={"systemctl show": [f"Id={REPLICA.unit}", "ActiveState=active"]}, settings=REPLICA
    )
    assert not any("restart" in command or "systemctl start" in command for command in running)


GPUS = REPLICA.model_copy(update={"gpus": 1})
GIVEN = Given(devices={REPLICA.name: (Device("GPU-1", "0000:01:00.0"),)})


def test_memory_that_gpus_reach_is_locked_without_a_limit() -> None:
    assert "LimitMEMLOCK=infinity\n" in render(GPUS)


def test_root_records_where_the_engine_cannot_write_and_nowhere_else() -> None:
    for unit in (render(GPUS), launched(Reach.MEMBERS, gpus=1)):
        lines = [line for line in unit.splitlines() if line.startswith("ExecSt") and "=+" in line]
        assert len(lines) >= 2
        assert all("=+/usr/bin/nsenter -t 1 -m " in line for line in lines)
        assert not any("/run/rackwright/" in line for line in lines)
        assert "BindPaths=/run/rackwright/assistant@1" in unit
        assert "/run/rackwright-started" not in "".join(
            line for line in unit.splitlines() if line not in lines
        ).replace("EnvironmentFile=-/run/rackwright-started/assistant@1/interface.env", "")


def test_an_engine_with_gpus_does_not_start_without_its_drop_in_and_notes_which_it_started_with() -> None:
    unit = render(GPUS)
    assert f"[Unit]\nDescription=rackwright engine {GPUS.name}\n" in unit
    assert f"ConditionPathExists=/etc/systemd/system/{GPUS.unit}.d/gpus.conf\n" in unit.partition("[Service]")[0]
    assert f"cat </etc/systemd/system/{GPUS.unit}.d/gpus.conf >/run/rackwright-started/assistant@1/gpus.conf'" in unit
    assert "gpus.conf" not in render(REPLICA)


def test_an_engine_waits_for_what_makes_its_gpus_ready() -> None:
    head = render(GPUS.model_copy(update={"after": "rackwright-gpus.service"})).partition("[Service]")[0]
    assert "Requires=rackwright-gpus.service\nAfter=rackwright-gpus.service\n" in head
    assert "Requires=" not in render(GPUS)


def test_the_role_gives_an_engine_its_gpus_before_it_starts() -> None:
    played = play(replica, settings=GPUS, gpus=GIVEN)
    text = played.uploads[f"{GPUS.gpus_file}.rackwright-new"]
    assert "CUDA_VISIBLE_DEVICES=GPU-1\n" in text
    written, reloaded, started = (
        next(number for number, command in enumerate(played.commands) if part in command)
        for part in (f"upload {GPUS.gpus_file}", "daemon-reload", "systemctl start")
    )
    assert played.commands[written - 1] == f"mkdir -p -- /etc/systemd/system/{GPUS.unit}.d"
    assert written < started
    assert "daemon-reload" in played.commands[written + 2 : started][-1]
    assert reloaded < started


def test_gpus_that_an_engine_has_already_change_nothing() -> None:
    text = render_gpus(GIVEN.devices[REPLICA.name])
    found = Found("regular file", 0o644, "root", "root", sha256(text.encode()).hexdigest())
    played = play(replica, facts={(PathState, GPUS.gpus_file): found}, settings=GPUS, gpus=GIVEN)
    assert f"Give {GPUS.name} its GPUs" not in played.changed


def test_an_engine_that_cannot_have_its_gpus_is_installed_not_started_and_named() -> None:
    played = play(replica, settings=GPUS, gpus=Given(without={GPUS.name: "waits for the driver: not there"}))
    assert f"Write the unit of {GPUS.name}" in played.changed
    assert not any("systemctl start" in command for command in played.commands)
    assert played.notes == {f"Give {GPUS.name} its GPUs": "assistant@1 waits for the driver: not there"}


def test_an_engine_without_gpus_loses_the_drop_in_that_it_had() -> None:
    played = play(replica, settings=REPLICA, gpus=Given(surplus=frozenset({REPLICA.name})))
    assert f"rm -f -- {REPLICA.gpus_file}" in played.commands


def test_the_host_is_asked_what_engines_have_and_run_with() -> None:
    files = {
        GPUS.gpus_file: "Environment=CUDA_VISIBLE_DEVICES=GPU-0",
        "/run/rackwright-started/gone@1/gpus.conf": "Environment=CUDA_VISIBLE_DEVICES=GPU-1",
    }
    two = (GPUS, GPUS.model_copy(update={"name": "assistant@2"}))
    found: list[Given] = []

    def role() -> None:
        found.append(gpus_of(two))

    play(role, facts={GpuFiles: files, HostHardware: hardware(gpu(0), gpu(1), gpu(2), nodes=())})
    assert {name: uuids_in(render_gpus(given)) for name, given in found[0].devices.items()} == {
        "assistant@1": ("GPU-0",),
        "assistant@2": ("GPU-2",),
    }


def test_a_host_without_gpu_replicas_is_not_asked_for_its_hardware() -> None:
    found = []

    def role() -> None:
        found.append(gpus_of((REPLICA,)))

    class Asked(Exception):
        pass

    def refuse(*_: object) -> None:
        raise Asked

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(HostHardware, "command", refuse)
        play(role)
    assert (found[0].devices, found[0].surplus) == ({}, frozenset())


def test_files_that_name_gpus_are_drop_ins_and_what_root_recorded(tmp_path: Path) -> None:
    units, run = tmp_path / "etc/systemd/system/rackwright-a@1.service.d", tmp_path / "run/rackwright-started/a@1"
    engines = tmp_path / "run/rackwright/a@1"
    for folder, uuid in ((units, "GPU-0"), (run, "GPU-1"), (engines, "GPU-2")):
        folder.mkdir(parents=True)
        (folder / "gpus.conf").write_text(f"[Service]\nEnvironment=CUDA_VISIBLE_DEVICES={uuid}\n")
    command = GpuFiles().command().replace("/etc/", f"{tmp_path}/etc/").replace("/run/", f"{tmp_path}/run/")
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, timeout=120)
    read = GpuFiles().process(done.stdout.splitlines())
    assert {path: uuids_in(text) for path, text in read.items()} == {
        f"{units}/gpus.conf": ("GPU-0",),
        f"{run}/gpus.conf": ("GPU-1",),
    }


def test_states_tell_which_gpus_an_engine_has_and_runs_with() -> None:
    (state,) = parse("replica=a@1\nActiveState=active\ngpus=GPU-0,GPU-1\ngpus_in_use=GPU-2\ngpus_digest=ab\n")
    assert (state.gpus, state.gpus_in_use, state.gpus_digest) == (("GPU-0", "GPU-1"), ("GPU-2",), "ab")
    (bare,) = parse("replica=a@1\nActiveState=active\ngpus=\n")
    assert (bare.gpus, bare.gpus_in_use, bare.gpus_digest) == ((), (), None)


def test_states_tell_the_outdated_the_crashed_and_the_stopped() -> None:
    first, second = parse(
        "replica=b@1\nActiveState=failed\nResult=core-dump\nExecMainStatus=4\nwanted=1\nstarted=\nstate=ready\n"
        "replica=a@1\nActiveState=active\nResult=success\nNRestarts=2\nwanted=2\nstarted=1\nstate=busy\nsince=5\n"
    )
    assert (first.replica, not first.runs(first.wanted), first.serves, first.since, first.restarts) == (
        "a@1",
        True,
        True,
        5,
        2,
    )
    assert (second.probe, second.active == "active" and not second.runs(second.wanted)) == ("stopped", False)
    assert (second.crash or "").startswith("illegal instruction")


MOUNTS = """\
612 590 0:58 / /srv ro,relatime - tmpfs tmpfs ro
613 612 8:1 /srv/models/a/0123456789abcdef /srv/models/a/0123456789abcdef ro,relatime - ext4 /dev/vda1 rw
614 612 8:1 /srv/models/a/fedcba9876543210 /srv/models/a/fedcba9876543210 ro,relatime - ext4 /dev/vda1 rw
615 612 8:1 /srv/models/ba/1111111111111111 /srv/models/ba/1111111111111111 ro,relatime - ext4 /dev/vda1 rw
"""


def test_states_tell_which_weights_an_engine_sees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    units, process, states = tmp_path / "units", tmp_path / "proc/77", tmp_path / "run/rackwright-state"
    for folder in (units, process, states):
        folder.mkdir(parents=True)
    now = int(time.time())
    (states / "a@1.paused").write_text(f"{now + 60} ci 3\n{now + 90} web-2 4\n{now - 60} old 3\n")
    for name in ("a@1", "a@2", "a-probe"):
        (units / f"rackwright-{name}.service").write_text("[Service]\n")
    (process / "mountinfo").write_text(MOUNTS)
    stand_in = tmp_path / "systemctl"
    answer = "echo ActiveState=active\necho MainPID=$pid\n"
    stand_in.write_text(f"#!/bin/sh\ncase $* in *@1*) pid=77 ;; *) pid=0 ;; esac\n{answer}")
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    moved = {"/etc/systemd/system": str(units), "/proc/": f"{tmp_path}/proc/", "/run/": f"{tmp_path}/run/"}
    script = STATES
    for path, here in moved.items():
        script = script.replace(path, here)
    done = subprocess.run(["sh", "-euc", script], capture_output=True, text=True, check=True, timeout=120)
    assert done.stderr == ""
    runs, waits = parse(done.stdout)
    assert (runs.replica, runs.active, runs.weights) == ("a@1", "active", ("0123456789abcdef", "fedcba9876543210"))
    assert (waits.replica, waits.weights) == ("a@2", ())
    assert (runs.paused, waits.paused) == ((PausedKey("ci", 3, now + 60), PausedKey("web-2", 4, now + 90)), ())


def test_a_state_says_what_keeps_the_replica_from_serving() -> None:
    output = (
        "replica=a@1\nActiveState=activating\nResult=exit-code\nExecMainStatus=1\nwanted=1\n"
        "state=faulted\nreason=it ended 3 times before it was ready\n"
    )
    (faulted,) = parse(output)
    assert (faulted.probe, faulted.serves) == ("faulted", False)
    assert faulted.why == "it ended 3 times before it was ready; exit-code, status 1"
    (ready,) = parse("replica=a@1\nActiveState=active\nResult=success\nwanted=1\nstate=ready\nreason=\n")
    assert (ready.reason, ready.why) == (None, None)


def test_a_host_without_replicas_has_no_states() -> None:
    assert parse("") == ()


def launched(reach: Reach, **changes: Any) -> str:
    member = Member(1, (ip_address("10.40.0.1"), ip_address("10.40.0.2")), 28600) if reach is Reach.MEMBERS else None
    launch = Launch(("/opt/run",), {"A": "50% of $B"}, reach, member, ("/opt/python3.11",), compiles=True)
    return render(REPLICA.model_copy(update=changes).launched(launch))


def test_an_engine_has_the_network_that_its_runtime_needs_and_no_other() -> None:
    nothing, alone, together = (launched(reach) for reach in (Reach.NOTHING, Reach.LOOPBACK, Reach.MEMBERS))
    for unit in (nothing, alone, together):
        assert "IPAddressDeny=any\n" in unit
    assert "RestrictAddressFamilies=AF_UNIX\n" in nothing
    assert "IPAddressAllow" not in nothing
    for unit in (nothing, alone):
        assert "PrivateNetwork=yes\n" in unit
    assert "IPAddressAllow=localhost\n" in alone
    assert "PrivateNetwork" not in together
    assert "IPAddressAllow=localhost 10.40.0.1 10.40.0.2\n" in together


def test_a_member_is_told_the_interface_of_its_own_address_at_each_start() -> None:
    unit = launched(Reach.MEMBERS)
    assert "address show to 10.40.0.2)" in unit
    assert unit.index("ip -o address") < unit.index(
        "EnvironmentFile=-/run/rackwright-started/assistant@1/interface.env\n"
    )
    assert unit.index("EnvironmentFile") < unit.index("ExecStart=")
    assert "interface.env" not in launched(Reach.LOOPBACK)


@pytest.mark.parametrize(("there", "written"), [("2: eth1    inet 10.40.0.2/24", "eth1"), ("", None)])
def test_the_interface_is_the_one_that_has_the_address_or_the_start_fails(
    tmp_path: Path, there: str, written: str | None
) -> None:
    line = next(line for line in launched(Reach.MEMBERS).splitlines() if "ip -o address" in line)
    script = line.partition("/bin/sh -c '")[2].removesuffix("'").replace("$$", "$").replace("%%", "%")
    script = script.replace("/run/rackwright-started/assistant@1/", f"{tmp_path}/")
    (tmp_path / "ip").write_text(f"#!/bin/sh\necho '{there}'\n")
    (tmp_path / "ip").chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", script], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True, check=False
    )
    if written is None:
        assert (done.returncode, done.stderr) == (1, "no interface has 10.40.0.2\n")
    else:
        expected = f"GLOO_SOCKET_IFNAME={written}\nNCCL_SOCKET_IFNAME={written}\n"
        assert (tmp_path / "interface.env").read_text() == expected


def test_what_compiles_has_a_cache_of_its_own_that_is_its_home() -> None:
    unit = launched(Reach.LOOPBACK)
    assert "CacheDirectory=rackwright/assistant@1\nCacheDirectoryMode=0700\n" in unit
    assert 'Environment="HOME=/var/cache/rackwright/assistant@1"\n' in unit
    assert "BindPaths=/run/rackwright/assistant@1 /var/cache/rackwright/assistant@1\n" in unit
    assert "MemoryDenyWriteExecute" not in unit
    assert "ProcSubset" not in unit
    assert "MemoryDenyWriteExecute=yes\n" in render(REPLICA)
    assert "CacheDirectory" not in render(REPLICA)


def test_several_processes_share_memory_of_their_own() -> None:
    for reach in (Reach.LOOPBACK, Reach.MEMBERS):
        assert "TemporaryFileSystem=/dev/shm:mode=1777\n" in launched(reach)
        assert "TemporaryFileSystem=/dev/shm:mode=1777\n" in launched(reach, gpus=1)
    assert "/dev/shm" not in render(REPLICA)


def test_systemd_expands_nothing_in_a_variable() -> None:
    assert 'Environment="A=50%% of $$B"\n' in launched(Reach.LOOPBACK)


def test_a_runtimes_folders_can_be_read_beside_the_weights() -> None:
    assert f"BindReadOnlyPaths=/opt/python3.11 {' '.join(REPLICA.readable)}\n" in launched(Reach.LOOPBACK)


@pytest.mark.parametrize("gpus", [0, 2])
def test_an_upgrade_of_rackwright_calls_no_running_llama_cpp_outdated(gpus: int) -> None:
    # The files were written by an earlier release.
    folder = "/srv/models/assistant/dddddddddddddddd"
    runtime = LlamaCpp(
        kind="llama_cpp", version="b10434", threads=4, args={"flash-attn": "on", "mlock": True, "swa-full": False}
    )
    after = "rackwright-gpus.service" if gpus else None
    unit = REPLICA.model_copy(update={"readable": (folder,), "gpus": gpus, "after": after})
    engine = Engine(f"{folder}/m.gguf", unit.socket, "assistant", 4096, gpus, unit.stop_seconds)
    written = Path(__file__).parent / "units" / f"llama_cpp-{'gpus' if gpus else 'cpu'}.service"
    assert render(unit.launched(runtime.launch(engine))) == written.read_text()


def test_members_with_gpus_alone_have_rdma() -> None:
    assert "DeviceAllow=char-infiniband_verbs rw\n" in launched(Reach.MEMBERS, gpus=1)
    assert "infiniband" not in launched(Reach.MEMBERS) + launched(Reach.LOOPBACK, gpus=1)

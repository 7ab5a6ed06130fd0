from __future__ import annotations

import subprocess
from pathlib import Path

from rackwright.operations.facts.ours import OurBuilds, OurFiles, OurUnits, OurUsers
from rackwright.operations.retired import retired_builds, retired_files, retired_units, retired_users
from rackwright.roles.capture.settings import FOLDER as CAPTURE
from rackwright.roles.capture.shipped import MODULES
from rackwright.roles.etcd.settings import FILES as ETCD
from rackwright.roles.gpu_faults.settings import FILES as GPU_FAULTS
from rackwright.roles.tool.settings import FOLDER, RUN, STATE
from rackwright.roles.tool.settings import Settings as Tool
from tests.fakes import commands
from tests.roles.serving import PROBE

TOOL = Tool(version="0.1.0+1a2b3c4d")


def units() -> None:
    retired_units(name="Units", keep=("rackwright-kept@1.service",))


def files() -> None:
    retired_files(name="Files", keep=("/etc/rackwright/kept@1.probe",))


def users() -> None:
    retired_users(name="Users", keep=("rw-kept",))


def test_units_that_belong_here_are_left() -> None:
    assert commands(units, facts={OurUnits: ("rackwright-kept@1.service",)}) == []
    assert commands(units, facts={OurUnits: ()}) == []


def test_other_units_are_stopped_timers_before_what_they_start_and_removed() -> None:
    found = ("rackwright-kept@1.service", "rackwright-old.service", "rackwright-old.timer")
    assert commands(units, facts={OurUnits: found}) == [
        "systemctl --quiet disable --now -- rackwright-old.timer rackwright-old.service",
        "rm -f -- /etc/systemd/system/rackwright-old.timer /etc/systemd/system/rackwright-old.service",
        "rm -rf -- /etc/systemd/system/rackwright-old.timer.d /etc/systemd/system/rackwright-old.service.d",
        "systemctl daemon-reload",
        "systemctl --quiet reset-failed -- rackwright-old.timer rackwright-old.service 2>/dev/null || :",
    ]


def test_the_mount_of_engine_sockets_is_removed_after_what_uses_it(tmp_path: Path) -> None:
    for name in ("rackwright-old@1.service", "rackwright-old.timer", "run-rackwright.mount", "run-other.mount"):
        (tmp_path / name).touch()
    command = OurUnits().command().replace("/etc/systemd/system", str(tmp_path))
    done = subprocess.run(["sh", "-c", command], check=True, capture_output=True, text=True)
    found = OurUnits().process(done.stdout.split())
    assert found == ("rackwright-old.timer", "rackwright-old@1.service", "run-rackwright.mount")
    assert commands(units, facts={OurUnits: found})[0].endswith(
        "rackwright-old.timer rackwright-old@1.service run-rackwright.mount"
    )


def test_an_engine_that_is_removed_takes_its_cache_along() -> None:
    found = ("rackwright-kept@1.service", "rackwright-old@2.service", "rackwright-old-2.probe.timer")
    ran = commands(units, facts={OurUnits: found})
    assert [command for command in ran if "/var/cache" in command] == ["rm -rf -- /var/cache/rackwright/old@2"]


def test_users_that_do_not_belong_here_are_removed() -> None:
    assert commands(users, facts={OurUsers: ("rw-kept", "rw-old")}) == ["userdel -- rw-old"]


def test_files_that_do_not_belong_here_are_removed() -> None:
    assert commands(files, facts={OurFiles: ("/etc/rackwright/kept@1.probe",)}) == []
    found = ("/etc/rackwright/kept@1.probe", "/etc/rackwright/kept@10.probe")
    assert commands(files, facts={OurFiles: found}) == ["rm -rf -- /etc/rackwright/kept@10.probe"]


def test_every_file_of_probes_and_gpu_faults_is_known_as_ours(tmp_path: Path) -> None:
    files = (*PROBE.scripts.values(), *GPU_FAULTS)
    for path in files:
        (tmp_path / path.removeprefix("/")).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path.removeprefix("/")).write_text("")
    command = OurFiles().command().replace("/etc/", f"{tmp_path}/etc/")
    found = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout.split()
    assert sorted(found) == sorted(f"{tmp_path}{path}" for path in files)


def test_a_host_that_loses_its_capture_keeps_none_of_its_modules(tmp_path: Path) -> None:
    folder = tmp_path / CAPTURE.removeprefix("/")
    for name in MODULES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    command = OurFiles().command().replace("/etc/", f"{tmp_path}/etc/")
    said = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout
    (removal,) = commands(files, facts={OurFiles: OurFiles().process(said.split())})
    subprocess.run(["sh", "-c", removal], check=True)
    assert not folder.exists()


def test_a_host_that_loses_the_tool_keeps_what_it_made_there(tmp_path: Path) -> None:
    """Signed reports of drills can't be made again."""
    for path in TOOL.files:
        (tmp_path / path.removeprefix("/")).mkdir(parents=True, exist_ok=True)
    report = tmp_path / STATE.removeprefix("/") / "acme.drills" / "1.json"
    report.parent.mkdir(parents=True)
    report.touch()
    command = OurFiles().command()
    for root in ("/etc/", "/run/", "/var/"):
        command = command.replace(root, f"{tmp_path}{root}")
    said = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout
    found = OurFiles().process(said.split())
    assert found == (f"{tmp_path}{FOLDER}", f"{tmp_path}{RUN}")
    (removal,) = commands(files, facts={OurFiles: found})
    subprocess.run(["sh", "-c", removal], check=True)
    assert report.exists()
    assert not (tmp_path / FOLDER.removeprefix("/")).exists()


def test_etcds_folder_and_certificate_are_known_as_ours(tmp_path: Path) -> None:
    for path in (*ETCD[1:], f"{ETCD[0]}/member.env"):
        (tmp_path / path.removeprefix("/")).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path.removeprefix("/")).write_text("")
    command = OurFiles().command().replace("/etc/", f"{tmp_path}/etc/")
    found = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout.split()
    assert sorted(found) == sorted(f"{tmp_path}{path}" for path in ETCD)


def test_builds_that_the_host_no_longer_keeps_are_removed_with_nothing_else(tmp_path: Path) -> None:
    for name in ("llama_cpp-b1-0123456789abcdef", "llama_cpp-b2-0123456789abcdef", ".incoming"):
        (tmp_path / name).mkdir()
    (tmp_path / "note").touch()
    command = OurBuilds().command().replace("/var/lib/rackwright/builds", str(tmp_path))
    said = subprocess.run(["sh", "-c", command], check=True, capture_output=True, text=True).stdout
    found = OurBuilds().process(said.split())
    old, new = (f"{tmp_path}/llama_cpp-b{number}-0123456789abcdef" for number in (1, 2))
    assert found == (old, new)

    def builds() -> None:
        retired_builds(name="Builds", keep=(new,))

    assert commands(builds, facts={OurBuilds: found}) == [f"rm -rf --one-file-system -- {old}"]
    assert commands(builds, facts={OurBuilds: (new,)}) == []


def test_the_rules_of_clouds_go_with_their_file() -> None:
    """They would limit HAProxy for good to the host proxies that there were."""
    found = ("/etc/rackwright/cloud/acme.key.cred", "/etc/rackwright/cloud/egress.nft")
    assert commands(files, facts={OurFiles: found}) == [
        "nft delete table inet rackwright_cloud 2>/dev/null || :",
        "rm -rf -- /etc/rackwright/cloud/acme.key.cred /etc/rackwright/cloud/egress.nft",
    ]
    assert commands(files, facts={OurFiles: found[:1]}) == ["rm -rf -- /etc/rackwright/cloud/acme.key.cred"]

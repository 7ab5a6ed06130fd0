"""The role that adds up a gateway's usage: what it writes, and what starts."""

from __future__ import annotations

import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from rackwright.fleet.hosts.compose import host_specs
from rackwright.operations.facts.packages import InstalledPackages
from rackwright.operations.facts.path_state import Found, PathState
from rackwright.operations.facts.unit import OurUnitStates, Unit, WrittenAt
from rackwright.operations.filesystem.others_absent import FilesBelow
from rackwright.operations.filesystem.shipped import SUMS
from rackwright.roles.gateway.access_log import TAG
from rackwright.roles.gateway.configuration import PATHS
from rackwright.roles.usage.role import PROGRAM, usage
from rackwright.roles.usage.settings import (
    ASK,
    FOLDER,
    QUOTAS,
    SERVICE,
    STATE,
    TELL,
    TIMER,
    UNITS,
    Settings,
    TeamQuota,
)
from rackwright.roles.usage.units import ask_script, quotas_text, service, tell_script, timer
from tests.fakes import play
from tests.fleet.test_clouds import loaded, lock
from tests.import_graph import ROOT, imports, name_of

RESEARCH = TeamQuota(team="research", tokens_per_day=20_000_000)
SETTINGS = Settings(gateway="gate1", others=("gate2",), teams=(RESEARCH,))


def test_a_fresh_gateway_gets_python_the_program_its_units_and_a_timer_that_runs() -> None:
    played = play(usage, settings=SETTINGS)
    assert played.changed == [
        "Install Python",
        "Make the folder for the usage program",
        *(f"Make the folder {name}" for name in PROGRAM.folders),
        *(f"Write {name}" for name in PROGRAM.modules),
        f"Write {SUMS}",
        *(f"Write {FOLDER}/{name}" for name in (ASK, TELL, QUOTAS)),
        f"Write {SERVICE}",
        f"Write {TIMER}",
        "Add up usage",
    ]
    started = [command for command in played.commands if "systemctl" in command and "start" in command]
    assert started
    assert all(TIMER in command for command in started)


READY: dict[object, object] = {
    InstalledPackages: ("python3",),
    FilesBelow: (*PROGRAM.modules, SUMS, ASK, TELL, QUOTAS),
    OurUnitStates: {
        SERVICE: Unit("loaded", "inactive", "static"),
        TIMER: Unit("loaded", "active", "enabled", started=2.0),
    },
    WrittenAt: {f"/etc/systemd/system/{TIMER}": 1.0},
}
for _path in (FOLDER, *(f"{FOLDER}/{name}" for name in PROGRAM.folders)):
    READY[PathState, _path] = Found("directory", 0o755, "root", "root")
_TEXTS = {f"{FOLDER}/{name}": source.read_text() for name, source in PROGRAM.modules.items()}
_TEXTS |= {f"{FOLDER}/{SUMS}": PROGRAM.sums, f"{FOLDER}/{QUOTAS}": quotas_text(SETTINGS)}
_TEXTS |= {f"{FOLDER}/{ASK}": ask_script(SETTINGS), f"{FOLDER}/{TELL}": tell_script()}
_TEXTS |= {f"/etc/systemd/system/{SERVICE}": service(SETTINGS), f"/etc/systemd/system/{TIMER}": timer(SETTINGS)}
for _path, _text in _TEXTS.items():
    _mode = 0o755 if _path in (f"{FOLDER}/{ASK}", f"{FOLDER}/{TELL}") else 0o644
    READY[PathState, _path] = Found("regular file", _mode, "root", "root", sha256(_text.encode()).hexdigest())


def test_a_gateway_that_adds_up_its_usage_is_left_alone() -> None:
    assert play(usage, settings=SETTINGS, facts=READY).changed == []


def test_a_changed_quota_changes_one_file_and_restarts_nothing() -> None:
    changed = SETTINGS.model_copy(update={"teams": (RESEARCH.model_copy(update={"tokens_per_day": 5}),)})
    assert play(usage, settings=changed, facts=READY).changed == [f"Write {FOLDER}/{QUOTAS}"]
    assert json.loads(quotas_text(changed)) == [["research", 5, 0]]


def test_what_an_earlier_version_left_is_removed() -> None:
    stray = "rackwright/roles/usage/program/__pycache__/main.cpython-313.pyc"
    facts = READY | {FilesBelow: (*PROGRAM.modules, SUMS, ASK, TELL, QUOTAS, stray)}
    played = play(usage, settings=SETTINGS, facts=facts)
    assert played.changed == ["Remove other files of the program"]
    assert f"rm -f -- {FOLDER}/{stray}" in played.commands


def test_the_modules_import_only_each_other_and_python_itself() -> None:
    names = {name_of(ROOT / name): name for name in PROGRAM.modules}
    for module, name in names.items():
        source = PROGRAM.modules[name].read_text()
        for imported in imports(source, module, is_package=name.endswith("__init__.py")):
            own = {imported, imported.rpartition(".")[0]} & names.keys()
            assert own or imported.partition(".")[0] in sys.stdlib_module_names, f"{name} imports {imported}"


def test_the_program_starts_without_anything_but_its_own_files(tmp_path: Path) -> None:
    for name, source in PROGRAM.modules.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(source.read_bytes())
    (tmp_path / QUOTAS).write_text("no quotas")
    folders = [str(tmp_path / name) for name in ("", "", "state")]
    command = [sys.executable, "-I", "-S", "-B", str(tmp_path), "gate1", *folders[:2], TAG, folders[2]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (
        1,
        "usage is not up to date: Expecting value: line 1 column 1 (char 0)\n",
    )
    assert not (tmp_path / "state").exists()


def test_the_unit_names_the_places_that_the_tool_uses_and_does_nothing_without_a_gateway() -> None:
    lines = service(SETTINGS).splitlines()
    assert {
        "Type=oneshot",
        "After=rackwright-gateway.service",
        "TimeoutStartSec=300",
        # Answers have priority.
        *("Nice=10", "CPUWeight=20", "IOWeight=20"),
        "ExecCondition=/usr/bin/systemctl --quiet is-active rackwright-gateway.service",
        f"ExecStartPre=/usr/bin/sha256sum --check --strict --quiet {FOLDER}/{SUMS}",
        f"ExecStart=/usr/bin/python3 -I -S -B {FOLDER} gate1 {FOLDER} {PATHS.configuration} {TAG} {STATE}",
        f"StateDirectory={STATE.removeprefix('/var/lib/')}",
        "StateDirectoryMode=0700",
        f"ReadWritePaths={PATHS.configuration}",
        "MemoryMax=512M",
        "StartLimitIntervalSec=0",
        "PrivateNetwork=yes",
        "RestrictAddressFamilies=AF_UNIX",
        # What it says about a failure is above the sandbox's LogLevelMax.
        "SyslogLevel=warning",
    } <= {*lines}


def test_it_looks_every_minute_and_every_few_seconds_with_quotas() -> None:
    for settings, seconds in (
        (Settings(gateway="gate1"), 60),
        (SETTINGS, 5),
        (Settings(gateway="gate1", limits_keys=True), 5),
    ):
        assert f"OnUnitInactiveSec={seconds}s" in timer(settings).splitlines()


def test_each_gateway_adds_up_usage_and_no_other_host(tmp_path: Path) -> None:
    specs = host_specs(fleet := loaded(tmp_path), lock(fleet))
    gateways = {name for name in specs if name.startswith("gate")}
    assert gateways
    for name, spec in specs.items():
        assert (spec.usage is not None) is (name in gateways)
        kept = {*UNITS} <= {*spec.layout.keep_units}, FOLDER in spec.layout.keep_files
        assert kept == ((name in gateways),) * 2
        if spec.usage:
            assert {spec.usage.gateway, *spec.usage.others} == gateways

"""The role that prepares a gateway to record requests: everything is there, and nothing runs."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from rackwright.operations.facts.account import Account, UserAccount
from rackwright.operations.facts.packages import InstalledPackages
from rackwright.operations.facts.path_state import Found, PathState
from rackwright.operations.facts.unit import OurUnitStates, Unit
from rackwright.operations.filesystem.others_absent import FilesBelow
from rackwright.roles.capture.role import TEMPLATES, capture
from rackwright.roles.capture.settings import (
    FILES,
    FOLDER,
    ORDERS,
    SERVICE,
    SOCKET,
    SOCKET_UNIT,
    STATE,
    USER,
)
from rackwright.roles.capture.shipped import FOLDERS, MODULES, START, SUMS, sums
from tests.fakes import play
from tests.import_graph import ROOT, imports, name_of


def test_a_fresh_gateway_gets_age_a_user_the_program_and_its_units_and_nothing_starts() -> None:
    played = play(capture)
    assert played.changed == [
        "Install age and Python",
        f"Make the user {USER}",
        "Make the folder for the program",
        "Make the folder for recorded requests",
        *(f"Make the folder {name}" for name in FOLDERS),
        *(f"Write {name}" for name in MODULES),
        f"Write {SUMS}",
        f"Write {SOCKET_UNIT}",
        f"Write {SERVICE}",
    ]
    for name, source in MODULES.items():
        assert played.uploads[f"{FOLDER}/{name}.rackwright-new"] == source.read_text()
    assert not any(f"systemctl {verb}" in command for command in played.commands for verb in ("start", "restart"))


READY: dict[object, object] = {
    InstalledPackages: ("age", "python3"),
    UserAccount: Account("/nonexistent", "/usr/sbin/nologin"),
    FilesBelow: (*MODULES, SUMS),
    OurUnitStates: {unit: Unit("loaded", "inactive", "enabled") for unit in (SERVICE, SOCKET_UNIT)},
}
for _path in (FOLDER, STATE, *(f"{FOLDER}/{name}" for name in FOLDERS)):
    READY[PathState, _path] = Found("directory", 0o755, "root", "root")
_FILES = {f"{FOLDER}/{name}": source for name, source in MODULES.items()}
_FILES |= {f"/etc/systemd/system/{unit}": TEMPLATES / unit for unit in (SERVICE, SOCKET_UNIT)}
for _path, _source in _FILES.items():
    _digest = sha256(_source.read_bytes()).hexdigest()
    READY[PathState, _path] = Found("regular file", 0o644, "root", "root", _digest)
READY[PathState, f"{FOLDER}/{SUMS}"] = Found(
    "regular file", 0o644, "root", "root", sha256(sums().encode()).hexdigest()
)


def test_a_gateway_that_is_ready_is_left_alone() -> None:
    assert play(capture, facts=READY).changed == []


def test_a_plan_shows_the_change_of_each_file_and_what_is_left_of_an_earlier_version() -> None:
    texts = {"rackwright/migrate/redact/search.py": "earlier", START: "other"}
    facts = dict(READY)
    for name, text in texts.items():
        content = f"{text} text\n".encode()
        digest = sha256(content).hexdigest()
        facts[PathState, f"{FOLDER}/{name}"] = Found("regular file", 0o644, "root", "root", digest, content)
    stray = ("capture.py", "rackwright/migrate/redact/__pycache__/texts.cpython-311.pyc")
    played = play(capture, facts=facts | {FilesBelow: (*MODULES, SUMS, *stray)})
    assert set(played.planned) == {*(f"Write {name}" for name in texts), "Remove other files of the program"}
    for name, text in texts.items():
        assert f"-{text} text" in played.planned[f"Write {name}"]
    assert played.planned["Remove other files of the program"].splitlines() == [f"- {FOLDER}/{one}" for one in stray]
    assert f"rm -f -- {FOLDER}/{stray[0]} {FOLDER}/{stray[1]}" in played.commands


def test_a_file_that_others_may_write_is_taken_back() -> None:
    path = f"{FOLDER}/{START}"
    found = replace(READY[PathState, path], mode=0o666, user=USER)  # type: ignore[type-var]
    assert play(capture, facts=READY | {(PathState, path): found}).changed == [f"Write {START}"]


def test_a_program_that_an_interrupted_apply_left_half_written_is_not_started(tmp_path: Path) -> None:
    (line,) = (one for one in (TEMPLATES / SERVICE).read_text().splitlines() if one.startswith("ExecStartPre="))
    check = line.removeprefix("ExecStartPre=").replace(FOLDER, str(tmp_path)).split()

    def starts() -> bool:
        return subprocess.run(check, capture_output=True).returncode == 0

    assert not starts()
    for name, source in MODULES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(source.read_bytes())
    (tmp_path / SUMS).write_text(sums().replace(FOLDER, str(tmp_path)))
    assert starts()
    for name in MODULES:
        place = tmp_path / name
        whole = place.read_bytes()
        place.write_bytes(whole + b"#\n")
        assert not starts(), name
        place.unlink()
        assert not starts(), name
        place.write_bytes(whole)
    assert starts()


def test_the_modules_import_only_each_other_and_python_itself() -> None:
    names = {name_of(ROOT / name): name for name in MODULES}
    for module, name in names.items():
        for imported in imports(MODULES[name].read_text(), module, is_package=name.endswith("__init__.py")):
            own = {imported, imported.rpartition(".")[0]} & names.keys()
            assert own or imported.partition(".")[0] in sys.stdlib_module_names, f"{name} imports {imported}"


def test_the_units_name_the_places_that_the_tool_uses() -> None:
    service, socket = ((TEMPLATES / unit).read_text().splitlines() for unit in (SERVICE, SOCKET_UNIT))
    assert f"ExecStart=/usr/bin/python3 -I -S -B {FOLDER} {ORDERS} {FILES}" in service
    assert f"StateDirectory={FILES.removeprefix('/var/lib/')}" in service
    assert f"User={USER}" in service
    assert f"ListenStream={SOCKET}" in socket
    assert {f"ConditionPathExists={ORDERS}"} <= {*service} & {*socket}
    # Neither a swap file, a core dump nor the network sees a request.
    assert {"MemorySwapMax=0", "LimitCORE=0", "PrivateNetwork=yes", "RestrictAddressFamilies=none"} <= {*service}

"""The role that prepares a gateway to record requests: everything is there, and nothing runs."""

from __future__ import annotations

import ast
import sys
from hashlib import sha256

from rackwright.operations.facts.account import Account, UserAccount
from rackwright.operations.facts.packages import InstalledPackages
from rackwright.operations.facts.path_state import Found, PathState
from rackwright.operations.facts.unit import OurUnitStates, Unit
from rackwright.roles.capture.role import PROGRAMS, TEMPLATES, capture
from rackwright.roles.capture.settings import (
    FILES,
    FOLDER,
    ORDERS,
    PROGRAM,
    SERVICE,
    SOCKET,
    SOCKET_UNIT,
    STATE,
    USER,
)
from tests.fakes import play


def test_a_fresh_gateway_gets_age_a_user_the_program_and_its_units_and_nothing_starts() -> None:
    played = play(capture)
    assert played.changed == [
        "Install age and Python",
        f"Make the user {USER}",
        "Make the folder for the program",
        "Make the folder for recorded requests",
        "Write capture.py",
        "Write redact.py",
        f"Write {SOCKET_UNIT}",
        f"Write {SERVICE}",
    ]
    for name, source in PROGRAMS.items():
        assert played.uploads[f"{FOLDER}/{name}.rackwright-new"] == source.read_text()
    assert not any(f"systemctl {verb}" in command for command in played.commands for verb in ("start", "restart"))


def test_a_gateway_that_is_ready_is_left_alone() -> None:
    facts: dict[object, object] = {
        InstalledPackages: ("age", "python3"),
        UserAccount: Account("/nonexistent", "/usr/sbin/nologin"),
    }
    for folder in (FOLDER, STATE):
        facts[PathState, folder] = Found("directory", 0o755, "root", "root")
    files = {f"{FOLDER}/{name}": source for name, source in PROGRAMS.items()}
    files |= {f"/etc/systemd/system/{unit}": TEMPLATES / unit for unit in (SERVICE, SOCKET_UNIT)}
    for path, source in files.items():
        digest = sha256(source.read_bytes()).hexdigest()
        facts[PathState, path] = Found("regular file", 0o644, "root", "root", digest)
    facts[OurUnitStates] = {unit: Unit("loaded", "inactive", "enabled") for unit in (SERVICE, SOCKET_UNIT)}
    assert play(capture, facts=facts).changed == []


def test_the_programs_need_only_python_itself() -> None:
    for name, source in PROGRAMS.items():
        tree = ast.parse(source.read_text())
        imported = {one.name for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names}
        imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert {one.partition(".")[0] for one in imported} <= sys.stdlib_module_names, name


def test_the_units_name_the_places_that_the_tool_uses() -> None:
    service, socket = ((TEMPLATES / unit).read_text().splitlines() for unit in (SERVICE, SOCKET_UNIT))
    assert f"ExecStart=/usr/bin/python3 {PROGRAM} {ORDERS} {FILES}" in service
    assert f"StateDirectory={FILES.removeprefix('/var/lib/')}" in service
    assert f"User={USER}" in service
    assert f"ListenStream={SOCKET}" in socket
    assert {f"ConditionPathExists={ORDERS}"} <= {*service} & {*socket}
    # Neither a swap file, a core dump nor the network sees a request.
    assert {"MemorySwapMax=0", "LimitCORE=0", "PrivateNetwork=yes", "RestrictAddressFamilies=none"} <= {*service}

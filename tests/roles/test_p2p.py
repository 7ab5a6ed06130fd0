from __future__ import annotations

import ast
import sys
from hashlib import sha256

from rackwright.operations.facts.account import Account, UserAccount
from rackwright.operations.facts.packages import InstalledPackages
from rackwright.operations.facts.path_state import Found, PathState
from rackwright.roles.p2p.role import p2p
from rackwright.roles.p2p.settings import FOLDER, PROGRAM, USER
from tests.fakes import play
from tests.roles.p2p_hosts import PROGRAM as SOURCE


def test_a_fresh_host_gets_libtorrent_a_user_and_the_program_and_nothing_starts() -> None:
    played = play(p2p)
    assert played.changed == [
        "Install libtorrent",
        f"Make the user {USER}",
        "Make the folder for p2p",
        f"Write {PROGRAM}",
    ]
    assert played.uploads[f"{PROGRAM}.rackwright-new"] == SOURCE.read_text()
    assert not any("systemctl" in command for command in played.commands)


def test_the_program_needs_nothing_but_libtorrent_and_python_itself() -> None:
    tree = ast.parse(SOURCE.read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} - sys.stdlib_module_names == {"libtorrent"}


def test_a_host_that_is_ready_is_left_alone() -> None:
    written = SOURCE.read_bytes()
    facts = {
        InstalledPackages: ("python3-libtorrent",),
        UserAccount: Account("/nonexistent", "/usr/sbin/nologin"),
        (PathState, FOLDER): Found("directory", 0o755, "root", "root"),
        (PathState, PROGRAM): Found("regular file", 0o644, "root", "root", sha256(written).hexdigest()),
    }
    assert play(p2p, facts=facts).changed == []

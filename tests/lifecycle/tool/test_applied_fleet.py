"""Which fleet the tool on a control host works on."""

from __future__ import annotations

import io
import subprocess
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from rackwright.errors import RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.tool import applied_fleet as module
from rackwright.lifecycle.tool.applied_fleet import applied_fleet
from rackwright.lifecycle.tool.version import require_version
from rackwright.state.applied import About, Applied, write_applied
from rackwright.state.checkout import checkout
from tests.fleet.test_unattended import WHOLE
from tests.shells import FolderShell

NOW = datetime(2026, 12, 1, tzinfo=UTC)
OWN = "0.1.0+0000aaaa"


@pytest.fixture(autouse=True)
def versions(monkeypatch: pytest.MonkeyPatch) -> None:
    """This rackwright is OWN, and so is every lock: its first line is the version."""
    monkeypatch.setattr("rackwright.lifecycle.tool.version.own_version", lambda: OWN)
    monkeypatch.setattr(module, "read_lock", lambda path: locked(path.read_text().strip()))


@pytest.fixture(autouse=True)
def others(monkeypatch: pytest.MonkeyPatch) -> list[Applied]:
    """What most control hosts have; nothing while it is empty."""
    found: list[Applied] = []
    monkeypatch.setattr(module, "_asked", lambda fleet: found[0] if found else None)
    return found


def locked(version: str | None) -> SimpleNamespace:
    return SimpleNamespace(tool=version and SimpleNamespace(version=version))


def applied(text: str = WHOLE, hours: int = 0, version: str = OWN, **files: bytes) -> Applied:
    about = About(fleet_file="site/fleet.yml", who="anna", run=f"r{hours}", when=NOW + timedelta(hours=hours))
    return Applied(about, {"site/fleet.yml": text.encode(), "site/fleet.lock": version.encode(), **files})


def handed(folder: Path, content: Applied) -> Path:
    """Write the applied fleet as an apply does, and hand it over as root's script does."""
    shell = FolderShell(name="ctl1", var=str(folder / "var"))
    write_applied(shell, content)
    subprocess.run(["tar", "-c", "-f", folder / "fleet.tar", "-C", folder / "var" / "fleet", "."], check=True)
    return folder / "fleet.tar"


def name_of(fleet: Fleet) -> str:
    return fleet.file.fleet


def test_it_is_what_root_handed_over_in_a_folder_of_its_own(tmp_path: Path) -> None:
    text = f"{WHOLE}downloads: {{ca_bundle: ../certs/ca.pem}}\n"
    given = applied(text, **{"certs/ca.pem": b"pem\n", "site/fleet.keys.yml": b""})
    path = handed(tmp_path, given)
    made = applied_fleet(path, tmp_path / "own")
    assert made.path == tmp_path / "own/site/fleet.yml"
    assert (tmp_path / "own/certs/ca.pem").read_bytes() == b"pem\n"
    assert checkout(made).files == given.files
    # A next run finds nothing of the one before.
    (tmp_path / "own/site/fleet.lock.next").write_text("")
    applied_fleet(path, tmp_path / "own")
    assert not (tmp_path / "own/site/fleet.lock.next").exists()


def test_what_most_control_hosts_have_counts(tmp_path: Path, others: list[Applied]) -> None:
    path = handed(tmp_path, applied())
    others.append(applied(WHOLE.replace("fleet: acme", "fleet: newer"), hours=1))
    assert name_of(applied_fleet(path, tmp_path / "own")) == "newer"
    assert (tmp_path / "own/site/fleet.yml").read_bytes() == others[0].files["site/fleet.yml"]


def test_another_version_is_refused_before_the_fleet_file_is_read(tmp_path: Path, others: list[Applied]) -> None:
    path = handed(tmp_path, applied("key-of-tomorrow: 1\n", version="0.2.0+1111bbbb"))
    with pytest.raises(RackwrightError) as raised:
        applied_fleet(path, tmp_path / "own")
    assert str(raised.value) == (
        "the applied lock: has the tool 0.2.0+1111bbbb, and 0.1.0+0000aaaa runs here; another version could undo "
        "what that one did\n  next: rackwright lock and then apply, without --only, from a controller"
    )
    # This host was down when another version was applied.
    others.append(applied("key-of-tomorrow: 1\n", hours=1, version="0.2.0+1111bbbb"))
    with pytest.raises(RackwrightError, match="another version could undo"):
        applied_fleet(handed(tmp_path, applied()), tmp_path / "own")


def test_a_lock_without_the_tool_is_refused() -> None:
    with pytest.raises(RackwrightError, match=r"has no tool, and 0\.1\.0\+0000aaaa runs here"):
        require_version(locked(None))  # type: ignore[arg-type]
    require_version(locked(OWN))  # type: ignore[arg-type]


def test_without_an_applied_fleet_the_next_step_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(RackwrightError, match=r"(?s)no fleet was applied here yet.*next: rackwright lease move"):
        applied_fleet(tmp_path / "empty", tmp_path / "own")
    with pytest.raises(RackwrightError, match=r"(?s)can't be read: No such file.*next: /etc/rackwright/tool/rackw"):
        applied_fleet(tmp_path / "none", tmp_path / "own")


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "site/../../outside"])
def test_no_file_is_written_elsewhere(tmp_path: Path, name: str) -> None:
    packed = io.BytesIO()
    given = applied(**{name: b"x"})
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, content in {**given.files, "applied.json": given.about.model_dump_json().encode()}.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    (tmp_path / "fleet.tar").write_bytes(packed.getvalue())
    with pytest.raises(RackwrightError, match="the applied fleet is damaged: it has a file"):
        applied_fleet(tmp_path / "fleet.tar", tmp_path / "own")
    assert not (tmp_path / "own").exists()

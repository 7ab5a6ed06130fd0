"""What a control host hands over to the next one: real scripts, in folders."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from rackwright.errors import HostError, RackwrightError
from rackwright.state.control import ControlRecord, copy_files, parse_control, read_control, write_control
from tests.shells import FolderShell


@pytest.fixture
def source(tmp_path: Path) -> FolderShell:
    return made(tmp_path / "gate1")


@pytest.fixture
def target(tmp_path: Path) -> FolderShell:
    return made(tmp_path / "gate2")


def made(folder: Path) -> FolderShell:
    (folder / "control").mkdir(parents=True)
    return FolderShell(name=folder.name, var=str(folder))


def put(shell: FolderShell, name: str, text: str) -> None:
    path = Path(shell.var, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def kept(shell: FolderShell) -> dict[str, str]:
    folder = Path(shell.var)
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "lock")
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def test_what_belongs_to_the_fleet_goes_along_and_what_is_the_hosts_own_stays(
    source: FolderShell, target: FolderShell
) -> None:
    own = {"record.json": "1", "audit.log": "1", "drains/gpu1": "1", "control/lease": "1", "control/journal": "j"}
    fleets = {"fleet/site.yml": "f", "kit.json": "k"}
    for name, text in {**own, **fleets}.items():
        put(source, name, text)
    put(target, "fleet/gone.yml", "older")
    put(target, "audit.log", "its own")
    copy_files(source, target)
    assert kept(target) == {**fleets, "audit.log": "its own"}


def test_changes_of_api_keys_are_merged_and_no_revocation_is_lost(source: FolderShell, target: FolderShell) -> None:
    first, second, third = (digit * 64 for digit in "123")
    put(source, "keys.pushed", f"{first} 7 @ {{}}\n{second} revoked @ {{}}\n")
    put(target, "keys.pushed", f"{first} revoked @ {{}}\n{second} 9 @ {{}}\n{third} 8 @ {{}}\n")
    copy_files(source, target)
    assert sorted(kept(target)["keys.pushed"].splitlines()) == [
        f"{first} revoked @ {{}}",
        f"{second} revoked @ {{}}",
        f"{third} 8 @ {{}}",
    ]


def test_a_former_control_host_cannot_make_the_next_one_drop_a_change(
    source: FolderShell, target: FolderShell
) -> None:
    put(source, "keys.pushed", f"{'1' * 64} 9\n")
    put(target, "keys.pushed", f"{'1' * 64} 8 @ {{}}\n")
    copy_files(source, target)
    assert kept(target)["keys.pushed"] == f"{'1' * 64} 8 @ {{}}\n"


def test_nothing_kept_is_nothing_to_copy(source: FolderShell, target: FolderShell) -> None:
    copy_files(source, target)
    assert kept(target) == {}


def test_a_link_is_not_taken(source: FolderShell, target: FolderShell, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    Path(source.var, "fleet").symlink_to(tmp_path / "elsewhere")
    put(source, "kit.json", "k")
    with pytest.raises(HostError, match="the other host sent something other than files"):
        copy_files(source, target)
    assert kept(target) == {}


def test_a_record_is_read_back(source: FolderShell) -> None:
    record = ControlRecord(hosts=("gate1",), number=3, since=datetime(2026, 11, 28, tzinfo=UTC), who="anna")
    assert read_control(source) is None
    write_control(source, record)
    assert read_control(source) == record


def test_a_newer_record_is_refused() -> None:
    with pytest.raises(RackwrightError, match="newer rackwright"):
        parse_control('{"format": "control-host/2"}', "gate1")


def test_a_record_of_one_host_from_before_is_read() -> None:
    text = (
        '{"format": "control-host/1", "host": "gate1", "number": 3, "since": "2026-11-28T00:00:00Z", "who": "anna"}'
    )
    since = datetime(2026, 11, 28, tzinfo=UTC)
    assert parse_control(text, "gate1") == ControlRecord(hosts=("gate1",), number=3, since=since, who="anna")


def test_a_record_says_who_they_are() -> None:
    record = ControlRecord(hosts=("gate1",), number=3, since=datetime(2026, 11, 28, tzinfo=UTC), who="anna")
    assert str(record) == "gate1 is the control host"
    several = record.model_copy(update={"hosts": ("gate1", "gpu1", "gpu2")})
    assert str(several) == "gate1, gpu1 and gpu2 are the control hosts"

# ruff: noqa: E501  (an exact message is written on one line)
"""The section `patch`, and a host's `bmc`."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.errors import FleetError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.load import load_fleet
from rackwright.fleet.references import secret_references
from rackwright.fleet.sections.patch import LATE_BACKUP, Patch
from rackwright.roles.backup.state import LATE, SNAPSHOTS_EVERY
from tests.fleet.test_load import GOOD, REFERENCE, SECRET

PATCH = """\
patch:
  max_unavailable: 2
  window: sun 02:00-05:00
  except: [2026-12-15/2027-01-06, 2026-11-27]
  backup_within: 24h
  prometheus:
    url: https://prometheus.acme.internal:9090
    ca: ca.pem
    token: env:TOKEN
    ignore: [Watchdog, High CPU]
"""
DAY = "should be a day like 2026-11-27, or the first and last like 2026-12-15/2027-01-06"
TIME = "should be days and a time like 'sun 02:00-05:00', 'mon-fri 22:00-04:00' or 'daily 01:00-03:00'"


def fleet(folder: Path, text: str) -> Fleet:
    (folder / "ca.pem").write_text("")
    (folder / "fleet.yml").write_text(text)
    return load_fleet(folder / "fleet.yml")


def section(folder: Path, text: str) -> Patch:
    found = fleet(folder, GOOD + text).file.patch
    assert found
    return found


@pytest.mark.parametrize(
    ("wrong", "right", "messages"),
    [
        ("sun 02", "sunday 02", ["18 patch.window: unknown day 'sunday'; did you mean 'sun'?"]),
        ("sun 02:00-05:00", "[sun 02:00-05:00, mun 02:00-05:00, tue]", ["18 patch.window[1]: unknown day 'mun'; did you mean 'sun'?", f"18 patch.window[2]: {TIME}"]),
        ("sun 02:00-05:00", "[]", ["18 patch.window: is empty; should have at least one entry"]),
        ("sun 02:00-05:00", "7", [f"18 patch.window: {TIME}"]),
        ("sun 02:00-05:00", "02:00-05:00", [f"18 patch.window: {TIME}"]),
        ("2026-11-27]", "2026-11-31, soon, 2026-02-01/2026-01-01]", [f"19 patch.except[1]: {DAY}", f"19 patch.except[2]: {DAY}", "19 patch.except[3]: ends before it begins; write 2026-01-01/2026-02-01"]),
        ("24h", "30s", ["20 patch.backup_within: should be at least 60 seconds"]),
        ("max_unavailable: 2", "max_unavailable: 0", ["17 patch.max_unavailable: should be at least 1"]),
        ("url: https", "url: http", ["21 patch.prometheus: the token would be sent in clear text; use an https URL"]),
        ("https://", "https://admin:secret@", [f"22 patch.prometheus.url: contains a URL's password; {SECRET}"]),
        ("ca.pem", "other.pem", ["23 patch.prometheus.ca: no such file: {folder}/other.pem; a relative path starts at the fleet file's folder"]),
        ("env:TOKEN", "t0ken", [f"24 patch.prometheus.token: {REFERENCE}"]),
        ("Watchdog", "''", ["25 patch.prometheus.ignore[0]: should be the name of an alert, as in the rule's `alert:`"]),
        ("except", "expect", ["19 patch.expect: unknown key; did you mean 'except'?"]),
        ("24h", "2x", ["20 patch.backup_within: should be a duration like 30s, 10m, 2h or 1d"]),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place(tmp_path: Path, wrong: str, right: str, messages: list[str]) -> None:
    with pytest.raises(FleetError) as raised:
        fleet(tmp_path, GOOD + PATCH.replace(wrong, right, 1))
    assert [
        f"{one.where.partition(':')[2]}: {one.what}" + (f"; {one.should}" if one.should else "")
        for one in raised.value.problems
    ] == [message.format(folder=tmp_path) for message in messages]


def test_several_mistakes_are_named_at_once(tmp_path: Path) -> None:
    text = PATCH.replace("sun 02", "sonday 02").replace("2026-11-27", "x").replace("24h", "1s")
    with pytest.raises(FleetError) as raised:
        fleet(tmp_path, GOOD + text)
    assert len(raised.value.problems) == 3


def test_the_section_is_read(tmp_path: Path) -> None:
    patch = section(tmp_path, PATCH)
    assert [str(window) for window in patch.windows] == ["sun 02:00-05:00"]
    assert [str(freeze) for freeze in patch.freezes] == ["2026-12-15/2027-01-06", "2026-11-27"]
    assert (patch.max_unavailable, patch.backup_within) == (2, 86400)
    assert patch.prometheus
    assert patch.prometheus.ignore == ("Watchdog", "High CPU")
    again = Patch.model_validate_json(patch.model_dump_json(by_alias=True))
    assert again == patch


def test_an_empty_section_has_defaults(tmp_path: Path) -> None:
    patch = section(tmp_path, "patch: {}\n")
    assert (patch.windows, patch.freezes, patch.prometheus, patch.max_unavailable) == ((), (), None, 1)
    assert patch.backup_within == LATE_BACKUP == LATE * SNAPSHOTS_EVERY
    assert fleet(tmp_path, GOOD).file.patch is None


def test_several_windows(tmp_path: Path) -> None:
    patch = section(tmp_path, "patch: {window: [sat 22:00-04:00, 'daily 01:00-02:00']}\n")
    assert [str(window) for window in patch.windows] == ["sat 22:00-04:00", "daily 01:00-02:00"]


def test_the_token_is_a_known_secret(tmp_path: Path) -> None:
    made = fleet(tmp_path, GOOD + PATCH.replace("env:TOKEN", "file:token"))
    assert secret_references(made)["patch.prometheus.token"] == "file:token"


def test_a_host_may_have_a_bmc(tmp_path: Path) -> None:
    made = fleet(tmp_path, GOOD.replace("10.0.0.11}", "10.0.0.11, bmc: bmc-gpu1.acme.internal}"))
    assert made.file.hosts["gpu1"].bmc == "bmc-gpu1.acme.internal"
    assert made.file.hosts["gpu2"].bmc is None
    with pytest.raises(FleetError, match=r"hosts.gpu1.bmc: should be an IPv4 or IPv6 address"):
        fleet(tmp_path, GOOD.replace("10.0.0.11}", "10.0.0.11, bmc: 10.0.0.300}"))

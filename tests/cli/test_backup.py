from __future__ import annotations

import os
import subprocess

import pytest

from rackwright.fleet.backup_access import derived
from rackwright.values.secrets import Secret
from tests.cheap_key import empty_repository
from tests.cli.command_line import rackwright

BACKUP = """
backup:
  to:
    - {name: disk, url: /srv/backup, password: "env:RACKWRIGHT_TEST_BACKUP"}
"""


@pytest.fixture
def backed_up(site, monkeypatch):
    monkeypatch.setenv("RACKWRIGHT_TEST_BACKUP", "one")
    with site.open("a") as stream:
        stream.write(BACKUP)
    return site


def test_a_hosts_password_is_printed_alone_so_that_restic_can_read_it(backed_up):
    ran = rackwright("-f", backed_up, "backup", "password", "gpu1")
    text = derived(Secret("one"), "acme", "disk", "gpu1").reveal()
    assert (ran.exit_code, ran.stdout, ran.stderr) == (0, f"{text}\n", "")
    ran = rackwright("-f", backed_up, "backup", "password", "gpu1", "--to", "disk", "--json")
    assert ran.document == {"host": "gpu1", "repository": "disk", "password": text}


def test_a_host_that_the_fleet_file_does_not_name_is_noted(backed_up):
    ran = rackwright("-f", backed_up, "backup", "password", "gpu99")
    assert (ran.exit_code, len(ran.stdout)) == (0, 65)
    assert ran.stderr == (
        "gpu99: the fleet file doesn't name this host; if it never did, this password opens nothing\n"
    )


def test_without_a_backup_there_is_no_password(site):
    ran = rackwright("-f", site, "backup", "password", "gpu1")
    assert ran.exit_code == 2
    assert ran.stderr == "error: backup: the fleet file sets no backup; this command needs one\n"


@pytest.fixture
def stored(backed_up, tmp_path):
    """gpu1's repository, in a folder, with an old snapshot and a new one."""
    empty_repository(tmp_path / "srv" / "gpu1", password())
    for time in ("2026-01-01 00:00:00", "2026-11-01 00:00:00"):
        restic(tmp_path, "backup", "-q", "--host", "gpu1", "--time", time, str(backed_up))
    return f"{tmp_path}/srv/{{host}}"


def password():
    return derived(Secret("one"), "acme", "disk", "gpu1").reveal()


def restic(folder, *words):
    command = ["restic", "--repo", str(folder / "srv" / "gpu1"), "--no-cache", *words]
    environment = {**os.environ, "RESTIC_PASSWORD": password(), "TZ": "UTC"}
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def test_old_snapshots_are_removed_after_a_yes(backed_up, stored, tmp_path):
    forget = ("-f", backed_up, "backup", "forget", "gpu1", "--at", stored)
    ran = rackwright(*forget, answers="n\n")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert "Remove 1 snapshot for good?" in ran.stderr
    assert "gpu1: 1 go, 1 stay, of 2026-11-01T00:00:00Z to 2026-11-01T00:00:00Z" in ran.stderr
    ran = rackwright(*forget, "--dry-run", "--json")
    (planned,) = ran.document["repositories"]
    assert (ran.exit_code, planned["outcome"], len(planned["goes"]), planned["stays"]) == (0, "planned", 1, 1)
    ran = rackwright(*forget, "--yes")
    assert (ran.exit_code, ran.stdout) == (0, "ok   gpu1 at disk: 1 gone, 1 there\n")
    assert len(restic(tmp_path, "list", "snapshots", "-q").split()) == 1


def test_a_suspect_snapshot_is_named_and_exits_with_12(backed_up, stored, tmp_path):
    restic(tmp_path, "backup", "-q", "--host", "gpu1", "--time", "2099-01-01 00:00:00", str(backed_up))
    ran = rackwright("-f", backed_up, "backup", "forget", "gpu1", "--at", stored, "--yes")
    assert (ran.exit_code, ran.stdout) == (12, "FAIL gpu1 at disk: refused\n")
    assert "of 2099-01-01T00:00:00Z is dated in the future" in ran.stderr
    assert (
        f"next: RESTIC_PASSWORD_COMMAND='rackwright backup password gpu1 --to disk' restic -r {tmp_path}"
        in ran.stderr
    )


@pytest.mark.parametrize(("text", "what"), [("soon", "soon is no duration"), ("1h", "is too short")])
def test_what_is_no_time_to_keep_is_refused(backed_up, text, what):
    ran = rackwright("-f", backed_up, "backup", "forget", "gpu1", "--at", "/srv/{host}", "--keep-within", text)
    assert ran.exit_code == 2
    assert f"--keep-within: {what}" in ran.stderr

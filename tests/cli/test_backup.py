from __future__ import annotations

import pytest

from rackwright.fleet.backup_access import derived
from rackwright.values.secrets import Secret
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

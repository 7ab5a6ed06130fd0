from __future__ import annotations

from rackwright.operations.facts.packages import InstalledPackages
from rackwright.roles.patch.role import patch
from rackwright.roles.patch.settings import Settings
from tests.fakes import commands

ON_DEBIAN = {"debian-archive-keyring", "haproxy"}


def installs(*found: str) -> list[str]:
    return commands(patch, settings=Settings(), facts={InstalledPackages: frozenset(found)})


def test_a_debian_host_gets_what_is_asked_and_debsecan_sends_no_mail() -> None:
    programs, debsecan = installs(*ON_DEBIAN)
    assert "install --no-install-recommends -- needrestart dpkg-repack" in programs
    assert "install --no-install-recommends -- debsecan" in debsecan
    # Before the installation, which would create the daily job.
    assert debsecan.index("debsecan debsecan/report boolean false") < debsecan.index(
        "install --no-install-recommends"
    )
    assert "debconf-set-selections" not in programs


def test_ubuntu_is_not_in_debians_data() -> None:
    (programs,) = installs("ubuntu-keyring")
    assert "debsecan" not in programs


def test_a_second_run_changes_nothing() -> None:
    assert installs(*ON_DEBIAN, "needrestart", "dpkg-repack", "debsecan") == []

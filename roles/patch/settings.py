"""The programs that `patch` asks on a host."""

from __future__ import annotations

from rackwright.package_set import PackageName
from rackwright.values.base import Frozen

DEBSECAN = "debsecan"
"""Knows the CVE ids of Debian's packages; Ubuntu's data isn't in it."""
NO_MAIL = "debsecan debsecan/report boolean false"
"""Answer for debconf: without it, the package's installation creates a daily cron job that downloads and mails."""
ONLY_DEBIAN = "debian-archive-keyring"
"""A package that only Debian's hosts have."""


RUNS = "/var/lib/rackwright/patch"
"""Has one folder for each patch run, for root only."""


class Settings(Frozen):
    programs: tuple[PackageName, ...] = ("needrestart", "dpkg-repack")
    """Packages that every patched host gets."""

"""`patch plan` on a real host: apt, needrestart, debsecan and DKMS are real, the packages are small stand-ins."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from rackwright.lab import fleet_file
from rackwright.lab.hosts import Lab
from rackwright.roles.patch import replaced
from rackwright.roles.patch.replaced import parse_replaced
from tests.lab.alone import alone
from tests.lab.deployed import LabHost
from tests.lab.labs import fresh_lab
from tests.lab.operator import Operator, Said
from tests.lab.small_archive import LOCKED, SmallPackage, archive, library, service
from tests.stand_in_driver import FOLDER, TOOLS, Kernel, repository

pytestmark = pytest.mark.lab

OLD, NEW = "580.95.05", "580.105.08"
BUILDS, BREAKS = Kernel("6.12.1-lab"), Kernel("6.12.2-lab", resizes=3)
_SECTION = f"""\
driver: {{on: gpu1, source: path, path: {FOLDER}, branch: "580", kernel: linux-image-lab}}
patch: {{window: "sun 02:00-05:00"}}
"""
_PREPARED = f"""set -e; export DEBIAN_FRONTEND=noninteractive
apt-get -qq update; apt-get -qq -y --no-install-recommends install {TOOLS} >/dev/null
mkdir -p /etc/default/grub.d; echo true >/usr/sbin/update-grub; chmod +x /usr/sbin/update-grub"""
_INSTALLED = """set -e
apt-get -qq update; apt-get -qq -y install small-service libcublas-lab >/dev/null 2>&1
systemctl start small; mkdir -p /srv/tracker
echo 'SOURCE=file:///srv/tracker' >>/etc/default/debsecan"""
_DKMS = SmallPackage("dkms", "0.1")
"""The next lock's set depends on it; the installed one is newer."""
_LEFT = tuple(SmallPackage("libcublas-lab", version) for version in ("1", "2"))
_CVES = """VERSION 1
CVE-2026-0001,,small-library: reads too far
CVE-2026-0002,,small-service: never fixed

small-library,0,SHRF,2,
small-service,1,SHR ,,

small-library,small-library
small-service,small-service

"""
_STATE = """cd /; places='etc usr boot var/lib/dpkg var/lib/dkms var/lib/apt var/cache/apt'
find $places -type f -printf '%p %s %T@\\n'; find $places tmp var/tmp ! -type f -printf '%p\\n'
dpkg-query -W; apt-mark showhold"""


@dataclass(frozen=True)
class Site:
    host: LabHost
    operator: Operator

    def plan(self, *words: str, check: int | None = 0) -> Said:
        """Plan, and fail the test unless the host's files, packages and holds are as before."""
        before = set(self.host.tell(_STATE).splitlines())
        said = self.operator("patch", "plan", *words, check=check)
        assert set(self.host.tell(_STATE).splitlines()) ^ before == set()
        return said


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A host with a driver, whose small packages are at 1 and have 2 in the archive."""
    with fresh_lab("patch", "gpu1") as lab:
        yield _site(lab, tmp_path_factory)


def _site(lab: Lab, factory: pytest.TempPathFactory) -> Site:
    host = LabHost(lab, lab.fleet(), "gpu1")
    host.tell(_PREPARED)
    host.tell(repository(OLD, BUILDS))
    admins = str(lab.fleet().subnet)
    operator = alone(factory.mktemp("patch"), host.target(), admins=admins, defaults=fleet_file.BASELINE)
    operator.path.write_text(operator.path.read_text() + _SECTION)
    operator("lock")
    # The driver isn't installed: the plan compares locks, and nothing else of the host matters here.
    operator("apply", "--yes", "--only", "patch")
    run(host, archive(_DKMS, _LEFT[0], library("1"), service("1")))
    host.tell(_INSTALLED)
    data = base64.b64encode(zlib.compress(_CVES.encode())).decode()
    host.tell(f"echo {data} | base64 -d >/srv/tracker/trixie")
    run(host, archive(_DKMS, library("2", "lab-security"), service("2"), _LEFT[1]))
    return Site(host, operator)


def run(host: LabHost, script: str) -> None:
    host.tell(f"cat >/tmp/script <<'EOF'\n{script}\nEOF\nsh /tmp/script; rm /tmp/script")


def test_the_role_installs_what_is_asked_without_mail_and_only_once(site: Site) -> None:
    assert site.operator("plan", "--only", "patch", "--check", "--json").json["changed"] == 0
    assert site.host.tell("grep REPORT /etc/default/debsecan; ls /etc/cron.d | grep -c debsecan || true") == (
        "REPORT=false\n0"
    )


def test_the_plan_names_what_apt_offers_and_changes_nothing(site: Site) -> None:
    said = site.plan("--json").json
    (host,) = said["hosts"]
    assert [(one["name"], one["before"], one["after"], one["security"]) for one in host["packages"]] == [
        ("small-library", "1", "2", True),
        ("small-service", "1", "2", False),
    ]
    assert host["left"] == [{"name": "libcublas-lab", "why": "the next lock decides it"}]
    assert (host["cves_closed"], host["cves_left"]) == (["CVE-2026-0001"], ["CVE-2026-0002"])
    (kind,) = said["plan"]["kinds"]
    sums = site.host.tell(
        "cd /srv/archive; sha256sum lab-security/small-library_2_all.deb lab/small-service_2_all.deb"
    )
    assert [one["package"]["sha256"] for one in kind["changes"]] == [line.split()[0] for line in sums.splitlines()]


def test_a_driver_that_does_not_build_is_named_with_the_compilers_line_and_nothing_changes(site: Site) -> None:
    site.host.tell(repository(NEW, BREAKS))
    said = site.plan(check=12).out
    assert f"driver {NEW} doesn't build for kernel {BREAKS.release} (tried on gpu1):" in said
    assert "nvidia.c:2:35: error: too few arguments to function" in said


def test_one_that_builds_is_said_to(site: Site) -> None:
    site.host.tell(repository(NEW, Kernel("6.12.3-lab")))
    assert f"driver {NEW} builds for kernel 6.12.3-lab (tried on gpu1)" in site.plan().out


def test_only_security_leaves_the_others_and_the_driver_and_names_services_and_locks(site: Site) -> None:
    site.host.tell("apt-get -qq update; apt-get -qq -y install small-service small-library >/dev/null 2>&1")
    run(site.host, archive(_DKMS, library("3", "lab-security"), service("3")))
    site.host.tell(LOCKED)
    (host,) = site.plan("--only", "security", "--check", "--json", check=4).json["hosts"]
    assert [(one["name"], one["way_back"]) for one in host["packages"]] == [("small-library", "cache")]
    assert host["services"] == ["small.service"]
    assert [line.split(" (")[0] for line in host["in_the_way"]] == ["dpkg is locked by perl"]
    assert host["driver"] is None
    site.host.tell("systemctl stop lock")


def test_services_on_replaced_libraries_are_restarted_and_named(site: Site) -> None:
    started = site.host.tell("systemctl show -P ActiveEnterTimestampMonotonic small")
    said = parse_replaced(site.host.tell(replaced.script()))
    assert (said.restarted, said.stays) == (("small.service",), ())
    assert site.host.tell("systemctl is-active small") == "active"
    assert site.host.tell("systemctl show -P ActiveEnterTimestampMonotonic small") != started
    assert parse_replaced(site.host.tell(replaced.script())).restarted == ()

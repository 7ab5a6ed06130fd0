"""A host's packages change and are reverted, by real apt and dpkg, whatever happens meanwhile."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import cast

import pytest

from rackwright.lab.hosts import Lab
from rackwright.lifecycle.patch.as_before import worse
from rackwright.lifecycle.patch.packages import HostPackages, StepFailed, Unfinished
from rackwright.lifecycle.patch.well_hosts import well
from rackwright.lifecycle.session.session import Session
from rackwright.package_set import Package, PackageChange
from rackwright.remote import Remote
from rackwright.roles.patch.packages import folder_of, unit_of
from rackwright.roles.patch.settings import RUNS
from tests.lab.cut_download import served_by_half
from tests.lab.deployed import LabHost
from tests.lab.labs import fresh_lab
from tests.lab.small_archive import FOLDER, LOCKED, SmallPackage, Suite, archive
from tests.waiting import wait_until

pytestmark = pytest.mark.lab
NUMBERS = itertools.count(1)
TOOL, LIBRARY = "small-tool", "small-base"
TIMERS = "apt-daily.timer apt-daily-upgrade.timer"
_SERVES = """set -e; cd /etc/systemd/system; printf '%s\\n' '[Service]' 'ExecStart=sleep infinity' '[Install]' \\
'WantedBy=multi-user.target' >small-serves.service; systemctl -q enable --now small-serves
nft 'add table inet small; add chain inet small input { type filter hook input priority 0; }
add rule inet small input tcp dport 9 drop'; touch /srv/mounted; mount --bind /etc/hostname /srv/mounted"""
_SERVES_NOT = """systemctl -q disable --now small-serves; rm /etc/systemd/system/small-serves.service
nft delete table inet small; umount /srv/mounted; rm -f /srv/mounted
systemctl daemon-reload; systemctl reset-failed"""
# Everything that a patch that was reverted must leave as it was.
_SNAPSHOT = f"""export LC_ALL=C
dpkg-query -W -f '${{Package}} ${{Version}} ${{Status}} ${{Conffiles}}\\n'; dpkg -l; dpkg --audit
apt-mark showauto; apt-mark showmanual; apt-mark showhold; cat /etc/{TOOL}/*; stat -c '%n %a %U' /etc/{TOOL}/*
find /var/lib/dpkg/info -name 'small-*' | sort | xargs sha256sum"""


def small(name: str, version: str, *fields: str, suite: Suite | None = "lab", postinst: str = "true") -> SmallPackage:
    files = {f"/usr/share/{name}/version": version} | {
        f"/etc/{TOOL}/{name}-{kind}": f"{kind} {version}\n" for kind in ("plain", "edited")
    }
    return SmallPackage(name, version, suite, fields, files=files, scripts={"postinst": postinst})


OLD, NEW = small(TOOL, "1:1.0"), small(TOOL, "1:1.1", f"Depends: {LIBRARY}")
BASE = SmallPackage(LIBRARY, "3", files={f"/etc/{LIBRARY}.conf": "base\n"})
BAD_OLD = small("small-bad", "1", suite=None)
BAD = small("small-bad", "2", postinst="echo 'the postinst \033[2J fails' >&2; exit 1")
HALF = small("small-half", "1", suite=None, postinst="exit 1")
SLOW_OLD = small("small-slow", "1", suite=None)
SLOW = small("small-slow", "2", postinst="echo >>/run/starts; while [ ! -e /run/go ]; do sleep 0.1; done")
"""Its postinst counts its starts and waits."""
ALL = (OLD, NEW, BASE, BAD_OLD, BAD, HALF, SLOW_OLD, SLOW)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with fresh_lab("patches", "kept") as lab:
        install = "apt-get -qq install -y --no-install-recommends dpkg-repack"
        lab.exec("kept", f"apt-get -qq update && {install}", timeout=300)
        lab.exec("kept", f"systemctl unmask --quiet {TIMERS}; systemctl start {TIMERS}; apt-get clean")
        Site(lab, lab.fleet(), "kept").publish(*ALL)
        yield lab


@dataclass(frozen=True)
class Site(LabHost):
    def publish(self, *packages: SmallPackage) -> None:
        """Make an archive of these packages, and let apt read its lists."""
        self.tell(archive(*packages) + "apt-get -qq update")

    def change(self, package: SmallPackage, before: str | None) -> PackageChange:
        sha256, size = self.tell(f"sha256sum <{package.file} | cut -c -64; stat -c %s {package.file}").split()
        of = (package.name, package.version, package.architecture, size, sha256)
        name, version, architecture, bytes_, digest = of
        return PackageChange(
            package=Package(
                name=name,
                version=version,
                architecture=architecture,
                size=int(bytes_),
                sha256=digest,
                url="http://a/b",
            ),
            before=before,
        )

    def install(self, package: SmallPackage) -> None:
        edited = f"/etc/{TOOL}/{package.name}-edited"
        self.tell(
            f"dpkg -i {package.file} && apt-mark -qq auto {package.name}; echo mine >{edited}; chmod 640 {edited}"
        )

    def snapshot(self) -> str:
        return self.tell(_SNAPSHOT)

    def version(self, name: str) -> str:
        return self.tell(f"dpkg-query -W -f '${{Version}} ${{db:Status-Status}}' {name} 2>/dev/null || echo none")

    @contextmanager
    def run(self, *changes: PackageChange, **words: object) -> Iterator[HostPackages]:
        run = f"20261130T000000Z-{next(NUMBERS):04x}"
        with Remote([self.target()]) as remote:
            yield HostPackages(remote.connection(self.name), run, changes, **words)  # type: ignore[arg-type]


@pytest.fixture
def site(lab: Lab) -> Iterator[Site]:
    """A host on which version 1.0 of the tool is installed for another package; one of its conffiles was edited."""
    site = Site(lab, lab.fleet(), "kept")
    site.install(OLD)
    yield site
    site.tell("touch /run/go; systemctl stop lock 2>/dev/null || :")
    wait_until(lambda: not site.tell("systemctl list-units --no-legend 'rackwright-patch-*.service'"))
    names = " ".join({package.name for package in ALL})
    site.tell(f"dpkg --purge --force-all {names} 2>/dev/null; rm -rf {RUNS} /run/go /etc/{TOOL}")


def both(site: Site) -> tuple[PackageChange, PackageChange]:
    return site.change(NEW, "1:1.0"), site.change(BASE, None)


def without_repacked(snapshot: str) -> str:
    return "\n".join(line for line in snapshot.splitlines() if "small-bad" not in line)


def said(error: pytest.ExceptionInfo[StepFailed]) -> str:
    return "\n".join(map(str, error.value.problems))


def test_packages_change_and_are_reverted_to_the_last_byte(site: Site) -> None:
    before = site.snapshot()
    with site.run(*both(site)) as patch:
        patch.stage()
        assert site.snapshot() == before
        kept = patch.keep()
        assert (kept.repacked, kept.none) == ((), ())
        site.tell(f"mv {FOLDER} {FOLDER}.off")  # from here on, only the run's own files are used
        try:
            patch.install()
        finally:
            site.tell(f"mv {FOLDER}.off {FOLDER}")
        assert site.version(TOOL) == "1:1.1 installed"
        assert site.tell("apt-mark showauto 'small-*'").split() == [LIBRARY, TOOL]
        assert site.tell(f"cat /etc/{TOOL}/*-edited /etc/{TOOL}/*-plain") == "mine\nplain 1:1.1"
        patch.install()
        assert patch.installed()
        patch.revert()
        assert not patch.installed()
        assert site.snapshot() == before
        with pytest.raises(StepFailed, match="were reverted"):
            patch.install()
        patch.finish()
        assert site.holds(f"ls {folder_of(patch.run)}/kept/*.deb")
        assert not site.holds(f"ls {folder_of(patch.run)}/staged")
        assert site.tell(f"stat -c '%a %U' {RUNS} {folder_of(patch.run)}") == "700 root\n700 root"


def test_a_package_that_can_not_be_configured_is_reverted(site: Site) -> None:
    site.install(BAD_OLD)
    before = site.snapshot()
    with site.run(site.change(BAD, "1")) as patch:
        patch.stage()
        assert patch.keep().repacked == ("small-bad:all",)
        with pytest.raises(StepFailed) as error:
            patch.install()
        assert "the postinst ?[2J fails" in said(error)
        assert "small-bad is half-configured" in said(error)
        site.tell(f"mv {FOLDER} {FOLDER}.off")
        try:
            patch.revert()
        finally:
            site.tell(f"mv {FOLDER}.off {FOLDER}")
    assert site.version("small-bad") == "1 installed"
    # A package that was made again has its edited conffiles as its own.
    assert without_repacked(site.snapshot()) == without_repacked(before)


def test_a_full_disk_is_found_before_anything_changes(site: Site) -> None:
    before = site.snapshot()
    site.tell(f"mkdir -p {RUNS} && mount -t tmpfs -o size=200m none {RUNS}")
    try:
        with site.run(*both(site)) as patch, pytest.raises(StepFailed, match=f"{RUNS} has 20.* free; should have 26"):
            patch.stage()
        assert not site.holds(f"ls {RUNS}/*/staged/*")
    finally:
        site.tell(f"umount {RUNS}")
    assert site.snapshot() == before


def test_a_process_that_has_locked_dpkg_is_named_and_waited_for(site: Site) -> None:
    site.tell(LOCKED)
    with site.run(*both(site), patience=1) as patch:
        with pytest.raises(StepFailed, match=r"lock-frontend is in use by process [0-9]+ perl"):
            patch.hold_off()
        assert site.tell(f"systemctl is-active {TIMERS} || :") == "inactive\ninactive"
        waits = replace(patch, patience=60, show=lambda _: site.tell("systemctl stop lock"))  # type: ignore[arg-type]
        waits.hold_off()
        assert site.tell(f"systemctl is-enabled {TIMERS} || :") == "masked-runtime\nmasked-runtime"
        patch.let_go()
        assert site.tell(f"systemctl is-active {TIMERS}") == "active\nactive"
        assert not site.holds("systemctl is-active 'rackwright-let-go-*.timer'")


def test_an_unfinished_package_is_refused(site: Site) -> None:
    site.tell(f"dpkg -i {HALF.file} 2>/dev/null || :")
    with site.run(*both(site)) as patch, pytest.raises(StepFailed, match="small-half is half-configured"):
        patch.stage()
    assert site.version(TOOL) == "1:1.0 installed"


def test_a_download_that_is_cut_changes_nothing(site: Site) -> None:
    before, changes = site.snapshot(), both(site)
    with served_by_half(site) as cut, site.run(*changes) as patch:
        with pytest.raises(StepFailed, match="could not be downloaded") as error:
            patch.stage()
        assert cut.is_set()
        logged = f"cat {folder_of(patch.run)}/stage.log; journalctl -u {unit_of(patch.run)}"
        assert "secret" not in said(error) + site.tell(logged)
        assert not site.holds(f"ls {folder_of(patch.run)}/staged/*.deb")
    assert site.snapshot() == before


def waiting(site: Site) -> PackageChange:
    site.install(SLOW_OLD)
    site.tell("rm -f /run/starts; apt-mark -qq manual small-slow")
    return site.change(SLOW, "1")


def test_a_lost_controller_or_connection_does_not_stop_the_installation(site: Site) -> None:
    with site.run(waiting(site)) as patch:
        patch.stage()
        patch.keep()
        with pytest.raises(Unfinished, match="goes on there"):
            replace(patch, stopping=lambda: True).install()
        with pytest.raises(Exception, match="under way"):
            patch.revert()
        with (
            site.run() as other,
            pytest.raises(Exception, match=f"another run changes packages here: {unit_of(patch.run)}"),
        ):
            other.let_go()
        wait_until(lambda: site.holds("test -e /run/starts"))
        looks: list[Callable[[], object]] = [
            lambda: site.tell("touch /run/go"),
            lambda: site.tell("pkill -KILL sshd-session"),
        ]
        with Remote([site.target()]) as remote:
            second = replace(
                patch, shell=remote.connection(site.name), show=lambda _: looks.pop()() if looks else None
            )
            second.install()
        assert not looks
    assert site.version("small-slow") == "2 installed"
    assert site.tell("wc -l </run/starts") == "1"
    assert site.tell("apt-mark showmanual small-slow") == "small-slow"


def test_a_power_loss_during_the_installation_is_made_good(site: Site) -> None:
    with site.run(waiting(site)) as patch:
        patch.stage()
        patch.keep()
        with pytest.raises(Unfinished):
            replace(patch, stopping=lambda: True).install()
        wait_until(lambda: site.holds("test -e /run/starts"))
        site.lab.kill(site.name)
        site.lab.start(site.name)
        site.tell("touch /run/go")
        patch.install()
    assert site.version("small-slow") == "2 installed"


def test_what_the_plan_does_not_allow_is_refused_all_at_once(site: Site) -> None:
    site.tell(f"apt-mark -qq hold {TOOL}; mkdir -p /var/lib/rackwright/packages")
    changes = site.change(NEW, "1:0.9"), site.change(BASE, None)
    with site.run(*changes) as patch, pytest.raises(StepFailed) as error:
        patch.stage()
    assert f"{TOOL}:all is at 1:1.0; was at 1:0.9 in the plan" in said(error)
    assert f"{TOOL}:all is on hold: an operator ran apt-mark hold" in said(error)
    site.tell(f"echo {TOOL} other >/var/lib/rackwright/packages/driver.held")
    with site.run(*changes) as patch, pytest.raises(StepFailed, match="rackwright holds it for its set driver"):
        patch.stage()
    site.tell("rm /var/lib/rackwright/packages/driver.held")


def test_a_package_that_is_not_in_the_plan_is_not_installed(site: Site) -> None:
    with site.run(both(site)[0]) as patch:
        patch.stage()
        patch.keep()
        with pytest.raises(StepFailed, match=f"{LIBRARY} would be installed, too"):
            patch.install()
    assert site.version(TOOL) == "1:1.0 installed"


def test_old_runs_are_removed_and_the_last_one_stays(site: Site) -> None:
    runs = []
    for _ in range(3):
        with site.run() as patch:
            patch.finish()
            runs.append(patch.run)
    assert site.tell(f"ls {RUNS}").split() == runs[1:]


def test_an_archive_that_changes_between_two_hosts_is_refused(site: Site) -> None:
    change = site.change(NEW, "1:1.0")
    # apt's lists still name the file that is gone.
    site.tell(archive(small(TOOL, "1:1.2")))
    try:
        with site.run(change) as patch, pytest.raises(StepFailed) as error:
            patch.stage()
        assert f"the archive has 1:1.2 of {TOOL}:all; had 1:1.1 in the plan" in said(error)
        site.publish(small(TOOL, "1:1.1", postinst="exit 0"))
        with (
            site.run(change) as patch,
            pytest.raises(StepFailed, match=r"is 1:1.1 with sha256 .*was 1:1.1 with sha256"),
        ):
            patch.stage()
        assert site.version(TOOL) == "1:1.0 installed"
    finally:
        site.publish(*ALL)


def test_a_host_is_as_well_as_before_until_something_is_worse(site: Site) -> None:
    with Remote([site.target()]) as remote:
        session = cast(Session, SimpleNamespace(remote=remote))
        site.tell(_SERVES)
        try:
            before = well(session, site.name).facts
            assert {"unit small-serves.service running", "unit ssh.service running"} < set(before)
            site.tell("nft 'add table inet f2b-table'; systemd-run -q --unit=small-transient sleep infinity")
            assert well(session, site.name).facts == before
            site.tell("systemctl stop small-serves small-transient; umount /srv/mounted")
            site.tell("nft 'delete table inet f2b-table; add rule inet small input tcp dport 10 drop'")
            after = well(session, site.name).facts
        finally:
            site.tell(f"{{ {_SERVES_NOT}; }} 2>/dev/null || :")
        assert worse(before, after, rebooted=False) == (
            "small-serves.service ran before and doesn't run now",
            "/srv/mounted (ext4) was mounted before and isn't now",
            "the packet filter's table inet small has other rules than before",
        )

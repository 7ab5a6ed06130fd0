"""Certificates of etcd that have ended are renewed without a lease, but only if nobody can take one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.errors import HostError, LeasedError, RackwrightError
from rackwright.fleet.ca import CertificateAuthority
from rackwright.lifecycle.control import ended
from rackwright.lifecycle.control.ended import renew_ended
from rackwright.lifecycle.session.agreements import Agreements
from rackwright.lifecycle.session.remember import Compared
from rackwright.roles.certificate.settings import FOLDER as CERTIFICATES
from rackwright.roles.etcd.settings import CREDENTIALS
from rackwright.run import Outcome, Run, Step
from tests.fleet.fleets import make_fleet
from tests.shells import FolderHosts, FolderShell

HOSTS = ("gate1", "gpu1", "gpu2")


@dataclass
class Shell(FolderShell):
    """A host whose certificates and credentials are in a folder of this machine."""

    def run(self, command: str, **more: Any) -> Any:
        for path in (CERTIFICATES, CREDENTIALS):
            command = command.replace(path, f"{self.var}{path}")
        return super().run(command, **more)


@dataclass
class Site:
    folder: Path
    done: list[str] = field(default_factory=list)
    agrees: bool = True
    difference: str | None = None
    """How these files differ from the applied ones, if git can't tell which are newer."""
    outcome: Outcome = Outcome.CHANGED
    count: int = 3

    def __post_init__(self) -> None:
        self.shells = {name: Shell(name, var=str(self.folder / name)) for name in HOSTS}
        self.authority = CertificateAuthority("acme", self.folder / "acme.ca.crt", self.folder / "keys")
        for name in HOSTS:
            self.issue(name, CREDENTIALS)

    def issue(self, host: str, folder: str, ago: timedelta = timedelta(0)) -> None:
        """Give the host a certificate for one day, issued so long ago."""
        self.authority.issue(("ca",), client=False, days=1)
        past = replace(self.authority, clock=lambda: datetime.now(UTC) - ago)
        path = self.folder / host / folder[1:] / "etcd.crt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(past.issue((host,), client=True, days=1).certificate_pem)

    def end(self, *hosts: str, folder: str = CREDENTIALS) -> None:
        for host in hosts:
            self.issue(host, folder, timedelta(days=2))

    def session(self) -> Any:
        hosts = {name: {"address": f"10.0.0.{number}"} for number, name in enumerate(HOSTS, 10)}
        fleet = replace(make_fleet(self.folder / "site.yml", hosts=hosts), recorded=HOSTS[: self.count])
        return SimpleNamespace(
            fleet=fleet,
            remote=FolderHosts(self.shells),
            lock=None,
            runner=SimpleNamespace(apply=self._applied),
        )

    def _applied(self, deploy: Callable[[], None], hosts: dict[str, str], *, only: tuple[str, ...]) -> Run:
        self.done.append(f"{deploy.__name__} on {' '.join(hosts)} only {' '.join(only)}")
        step = Step("gpu1", "certificate", "Keep the certificate", self.outcome, output=("no key",))
        return Run((step,))

    def confirm(self, question: str, *, refusal: RackwrightError | None = None) -> None:
        self.done.append(question)
        if refusal:
            raise refusal
        if not self.agrees:
            raise RackwrightError("cancelled")

    def say(self, _: str) -> None: ...


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    site = Site(tmp_path)

    def compared(_: object) -> Compared:
        site.done.append("compared")
        return Compared(same=site.difference is None, difference=site.difference, who="ben")

    monkeypatch.setattr(ended, "compared", compared)
    monkeypatch.setattr(ended, "desired", lambda *_: {name: name for name in HOSTS})

    def restarted(_: object, hosts: tuple[str, ...]) -> None:
        site.done.append(f"restarted {' '.join(hosts)}")

    monkeypatch.setattr("rackwright.lifecycle.control.membership.Membership.restart_together", restarted)
    return site


def renew(site: Site, *, not_stale: bool = False, unattended: bool = False) -> list[str]:
    session: Any = site.session()
    agreements = Agreements(session.fleet) if unattended else None
    renew_ended(session, site, not_stale=not_stale, unattended=agreements)  # type: ignore[arg-type]
    return site.done


@pytest.mark.parametrize("hosts", [(), ("gate1",), ("gpu2",)])
def test_while_most_members_can_work_apply_renews_under_its_lease(site: Site, hosts: tuple[str, ...]) -> None:
    site.end(*hosts)
    assert renew(site) == []


@pytest.mark.parametrize("hosts", [HOSTS, ("gate1", "gpu2")])
def test_once_too_few_can_they_are_renewed_and_restarted(site: Site, hosts: tuple[str, ...]) -> None:
    site.end(*hosts)
    names = " ".join(hosts)
    (asked,) = [one for one in renew(site) if one.startswith("Renew")]
    assert asked.startswith("Renew them without a lease, and restart etcd on gate1")
    assert site.done == ["compared", asked, f"control on {names} only certificate", f"restarted {names}"]


def test_what_a_running_member_has_counts_and_else_what_it_would_start_with(site: Site) -> None:
    """An earlier attempt may have renewed the files only."""
    site.end("gate1")
    site.issue("gate1", CERTIFICATES)
    (site.folder / "gpu1" / CREDENTIALS[1:] / "etcd.crt").unlink()
    assert renew(site) == []
    site.end("gpu1", folder=CERTIFICATES)
    assert renew(site)[-1] == "restarted gate1 gpu1"


def test_a_host_that_does_not_answer_counts_as_one_that_may_work(site: Site) -> None:
    site.end(*HOSTS)
    site.shells["gate1"].gone = True
    assert renew(site)[-1] == "restarted gpu1 gpu2"
    site.done.clear()
    site.shells["gpu1"].gone = True
    assert renew(site) == []


def test_a_single_control_host_is_not_asked(site: Site) -> None:
    site.end(*HOSTS)
    site.count = 1
    assert renew(site) == []
    assert not any(shell.commands for shell in site.shells.values())


def test_an_older_checkout_and_one_who_does_not_agree_change_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.end(*HOSTS)
    site.agrees = False
    with pytest.raises(RackwrightError, match="cancelled"):
        renew(site)
    assert len(site.done) == 2

    def older(_: object) -> None:
        raise LeasedError("would undo a colleague's work")

    monkeypatch.setattr(ended, "compared", older)
    with pytest.raises(LeasedError):
        renew(site)
    assert len(site.done) == 2


def test_an_unattended_run_never_acts_without_a_lease(site: Site) -> None:
    site.end("gate1", "gpu1")
    with pytest.raises(RackwrightError) as refused:
        renew(site, unattended=True)
    assert str(refused.value) == (
        "the certificates of etcd on gate1 and gpu1 have ended, so nobody can take the lease; a person should agree "
        "to renew them without one; an unattended run never does that\n  next: run the command without --unattended"
    )
    assert not any(one.startswith(("control", "restarted")) for one in site.done)


def test_files_that_could_be_older_renew_nothing_unless_the_operator_says_they_are_newer(site: Site) -> None:
    site.end(*HOSTS)
    site.difference = "models: differs"
    with pytest.raises(LeasedError, match="these files differ from what ben applied last"):
        renew(site)
    assert not any(one.startswith(("Renew", "restarted")) for one in site.done)
    assert renew(site, not_stale=True)[-1] == "restarted gate1 gpu1 gpu2"


def test_a_certificate_that_cannot_be_renewed_restarts_nothing(site: Site) -> None:
    site.end(*HOSTS)
    site.outcome = Outcome.FAILED
    with pytest.raises(RackwrightError, match="gpu1: the certificate of etcd can't be renewed") as caught:
        renew(site)
    assert "gpu1: Keep the certificate: no key" in str(caught.value)
    assert not any(one.startswith("restarted") for one in site.done)


def test_an_answer_that_failed_is_no_answer(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ended, "COMMAND", "exit 3")
    with pytest.raises(HostError, match="asking when the certificate of etcd ends"):
        renew(site)

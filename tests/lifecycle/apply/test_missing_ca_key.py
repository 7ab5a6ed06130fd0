"""Certificates that are due and can't be issued here are named before anything changes."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.errors import HostError, RackwrightError
from rackwright.fleet.ca import CertificateAuthority, ca_of
from rackwright.lifecycle.apply.missing_ca_key import refuse_missing_ca_key
from rackwright.remote.completed import Completed
from rackwright.roles.certificate.settings import Settings as Certificate
from rackwright.run import Outcome, Run, Step
from tests.fleet.fleets import make_fleet
from tests.lifecycle.check.test_requirements import HOST

CHANGES = Run((Step("gpu1", "certificate", "Keep the certificate host-proxy current", Outcome.WOULD_CHANGE),))
CERTIFIED = replace(HOST, certificates=(Certificate(name="host-proxy", names=("gpu1",)),))


class Site:
    """A host that should have a certificate, and what it prints about it."""

    def __init__(self, folder: Path) -> None:
        self.fleet = make_fleet(folder / "site.yml")
        self.said: dict[str, str | HostError] = {"gpu1": ""}
        self.asked: Mapping[str, str] = {}

    @property
    def ca(self) -> CertificateAuthority:
        return ca_of(self.fleet)

    def issue(self) -> str:
        """Issue gpu1's certificate; return what the host prints about it."""
        issued = self.ca.issue(("gpu1",), client=False, days=365).certificate_pem
        return f"pem host-proxy {b64encode(issued.encode()).decode()}\n"

    def lose_key(self) -> None:
        assert self.ca.key_file
        self.ca.key_file.unlink()

    def run_on(self, names: Mapping[str, str], scripts: Mapping[str, str]) -> dict[str, Completed | HostError]:
        assert set(names) == set(scripts)
        self.asked = scripts
        return {
            host: said if isinstance(said, HostError) else Completed(0, said.encode())
            for host, said in self.said.items()
        }

    def refuse(self, planned: Run = CHANGES) -> None:
        session: Any = SimpleNamespace(fleet=self.fleet, hosts={"gpu1": CERTIFIED}, remote=self)
        refuse_missing_ca_key(session, planned)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return Site(tmp_path)


def test_without_the_key_the_certificates_that_are_due_are_named(site: Site) -> None:
    site.issue()
    site.lose_key()
    with pytest.raises(RackwrightError) as refused:
        site.refuse()
    (problem,) = refused.value.problems
    assert problem.what == "the CA's key isn't on this machine, and certificates are due: gpu1 (host-proxy)"
    assert problem.next == f"put it at {site.ca.key_file}, or run the apply on a machine that has it"


def test_without_the_key_other_changes_of_certificates_are_applied(site: Site) -> None:
    site.said["gpu1"] = site.issue()
    site.lose_key()
    site.refuse()
    assert list(site.asked) == ["gpu1"]


def test_a_host_that_does_not_answer_is_for_apply_to_name(site: Site) -> None:
    site.issue()
    site.lose_key()
    site.said["gpu1"] = HostError("no connection")
    site.refuse()
    assert list(site.asked) == ["gpu1"]


def test_the_first_apply_creates_the_ca(site: Site) -> None:
    site.refuse()
    assert not site.asked


def test_hosts_are_asked_only_if_a_certificate_changes(site: Site) -> None:
    unchanged = replace(CHANGES.steps[0], outcome=Outcome.UNCHANGED)
    site.refuse(Run((unchanged, replace(CHANGES.steps[0], role="gateway"))))
    assert not site.asked


def test_hosts_are_not_asked_if_everything_can_be_issued(site: Site) -> None:
    site.issue()
    site.refuse()
    assert not site.asked

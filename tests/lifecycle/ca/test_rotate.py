"""A CA that is rotated step by step, forward and back, and what must be true before each step."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rackwright.errors import HostError, RackwrightError, SecretError
from rackwright.fleet.x509 import certificates_in
from rackwright.lifecycle.ca.rotate import Stage, rotate, stage_of
from tests.lifecycle.ca.site import Site


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A fleet that was applied; each new CA is a second newer."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    made = Site(tmp_path)
    made.apply()
    return made


def step(site: Site, *, back: bool = False) -> tuple[str, ...]:
    return rotate(site.session, site.console, back=back).then


def cas(site: Site) -> tuple[str, ...]:
    return certificates_in(site.ca.ca_pem)


def test_the_new_ca_is_trusted_then_issues_then_the_old_one_ends(site: Site) -> None:
    (old,) = cas(site)
    assert step(site)[0] == "rackwright apply"
    first, new = cas(site)
    assert (first, stage_of(site.ca)) == (old, Stage.TRUSTED)
    site.apply()
    step(site)
    assert (cas(site), stage_of(site.ca)) == ((new, old), Stage.ISSUING)
    site.apply()
    assert step(site)[0] == "rackwright apply"
    assert (cas(site), stage_of(site.ca)) == ((new,), Stage.SINGLE)
    assert site.console.asked == ["Create a new CA?", "Let the new CA issue?", "End the old CA?"]


def test_no_host_gets_a_certificate_of_a_ca_that_another_does_not_trust(site: Site) -> None:
    step(site)
    site.apply("gate1")
    before = cas(site)
    with pytest.raises(RackwrightError, match="these hosts don't trust the new CA yet") as caught:
        step(site)
    assert caught.value.problems[0].listed == ("gpu1",)
    assert caught.value.problems[0].next == "rackwright apply"
    assert cas(site) == before


def test_the_old_ca_does_not_end_while_a_host_has_a_certificate_of_it(site: Site) -> None:
    step(site)
    site.apply()
    step(site)
    site.apply("gpu1")
    with pytest.raises(RackwrightError, match="these hosts still have certificates of the old CA") as caught:
        step(site)
    assert caught.value.problems[0].listed == ("gate1",)


def test_a_member_of_etcd_must_have_restarted_before_each_step(site: Site) -> None:
    """A running member has copies of its certificate and CA."""

    def restart() -> None:
        for path in site.hosts["gpu1"].folder.glob("*.crt"):
            shutil.copy(path, running)

    (running := site.hosts["gpu1"].folder / "running").mkdir()
    restart()
    step(site)
    site.apply()
    with pytest.raises(RackwrightError, match="these hosts don't trust the new CA yet") as caught:
        step(site)
    assert caught.value.problems[0].listed == ("gpu1",)
    restart()
    step(site)
    site.apply()
    with pytest.raises(RackwrightError, match="these hosts still have certificates of the old CA") as caught:
        step(site)
    assert caught.value.problems[0].listed == ("gpu1",)
    restart()
    step(site)
    assert stage_of(site.ca) is Stage.SINGLE


def test_each_step_can_be_undone(site: Site) -> None:
    (old,) = cas(site)
    step(site)
    step(site, back=True)
    assert cas(site) == (old,)
    step(site)
    site.apply()
    step(site)
    site.apply()
    step(site, back=True)
    assert (cas(site)[0], stage_of(site.ca)) == (old, Stage.TRUSTED)
    with pytest.raises(RackwrightError, match="these hosts still have certificates of the new CA"):
        step(site, back=True)
    site.apply()
    step(site, back=True)
    assert cas(site) == (old,)
    with pytest.raises(RackwrightError, match="no rotation is in progress"):
        step(site, back=True)


def test_a_host_that_can_not_be_asked_stops_it(site: Site) -> None:
    step(site)
    site.apply()
    site.hosts["gpu1"].gone = True
    with pytest.raises(HostError, match="gpu1: unreachable"):
        step(site)
    assert stage_of(site.ca) is Stage.TRUSTED


def test_a_host_without_certificates_is_ready(site: Site) -> None:
    for path in site.hosts["gpu1"].folder.iterdir():
        path.unlink()
    step(site)
    site.apply("gate1")
    step(site)
    assert stage_of(site.ca) is Stage.ISSUING


def test_a_garbled_certificate_of_a_host_is_none_of_the_new_ca(site: Site) -> None:
    step(site)
    site.apply()
    step(site)
    site.apply()
    garbled = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    (site.hosts["gpu1"].folder / "engine.crt").write_text(garbled)
    with pytest.raises(RackwrightError, match="still have certificates of the old CA") as caught:
        step(site)
    assert caught.value.problems[0].listed == ("gpu1",)


def test_a_certificate_without_its_ca_is_unreadable(site: Site) -> None:
    step(site)
    site.apply()
    (site.hosts["gpu1"].folder / "engine.crt").unlink()
    with pytest.raises(HostError, match="gpu1"):
        step(site)


@pytest.mark.parametrize("back", [False, True])
def test_without_the_key_of_the_ca_that_would_issue_the_step_is_refused(site: Site, *, back: bool) -> None:
    step(site)
    site.apply()
    old, new = cas(site)
    if back:
        step(site)
        site.apply()
    site.ca.file_of(old if back else new).unlink()
    before = cas(site)
    with pytest.raises(SecretError, match="the CA's key isn't on this machine"):
        step(site, back=back)
    assert cas(site) == before


def test_a_lost_key_is_no_obstacle(site: Site) -> None:
    (old,) = cas(site)
    site.ca.file_of(old).unlink()
    step(site)
    for host in site.hosts.values():
        (host.folder / "engine.ca.crt").write_text(site.ca.ca_pem)
    step(site)
    site.apply()
    step(site)
    assert old not in cas(site)


def test_with_a_certificate_of_ones_own_clients_need_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    own = {"certificate": {"certificate": "own.crt", "key": "file:own.key"}, "on": ["gate1"], "domain": "llm.acme"}
    site = Site(tmp_path, gateway=own)
    site.apply()
    step(site)
    site.apply()
    step(site)
    assert not any("clients" in line for line in site.console.said)


@pytest.mark.parametrize(
    ("pem", "error"),
    [
        ("", "the fleet has no CA yet"),
        ("{0}{0}{0}", "contains 3 certificates; one, or two in a rotation"),
        ("{0}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "contains no PEM certificate"),
    ],
)
def test_a_file_that_is_none_of_ours_is_refused(site: Site, pem: str, error: str) -> None:
    site.ca.certificate_file.write_text(pem.format(site.ca.ca_pem))
    with pytest.raises(RackwrightError, match=error):
        step(site)

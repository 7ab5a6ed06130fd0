"""NAME.ca.crt, back from the control host."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.errors import RackwrightError
from rackwright.lifecycle.ca import fetch as module
from rackwright.lifecycle.ca.fetch import fetch_ca
from rackwright.state.applied import Applied, applied_from
from rackwright.state.checkout import checkout
from rackwright.state.formats import utc_now
from tests.lifecycle.ca.site import Site


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    made = Site(tmp_path)
    made.fleet.path.write_text("fleet: acme\n")
    monkeypatch.setattr(module, "last_applied", lambda *_: None)
    return made


def applied(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the files as they are on the control host."""
    kept: Applied = applied_from(checkout(site.fleet), who="anna", run="r1", when=utc_now())
    monkeypatch.setattr(module, "last_applied", lambda *_: kept)


def test_it_is_written_as_it_was_applied(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.apply()
    applied(site, monkeypatch)
    before = site.ca.ca_pem
    site.ca.certificate_file.unlink()
    assert fetch_ca(site.session) == site.ca.ca_pem == before


def test_a_file_is_never_overwritten(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.apply()
    applied(site, monkeypatch)
    with pytest.raises(RackwrightError, match="the file already exists; fetch never overwrites a file"):
        fetch_ca(site.session)


@pytest.mark.parametrize("was_applied", [False, True])
def test_a_fleet_without_a_ca_says_what_creates_it(
    site: Site, monkeypatch: pytest.MonkeyPatch, *, was_applied: bool
) -> None:
    if was_applied:
        applied(site, monkeypatch)
    with pytest.raises(RackwrightError, match="gate1: no CA was applied yet"):
        fetch_ca(site.session)

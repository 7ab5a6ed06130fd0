"""The key that signs a drill: the tool's on a control host, else the person's own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rackwright.errors import SecretError
from rackwright.lifecycle.drill.evidence.signers import signers_of
from rackwright.lifecycle.drill.evidence.signing_key import signing_key
from rackwright.lifecycle.drill.evidence.tool_key import tool_key
from rackwright.state.formats import utc_now
from rackwright.values.tool_mode import credential_name
from tests.fleet.test_load import KEY
from tests.lifecycle.schedule.world import TEXT, fleet


def test_on_a_control_host_the_tool_s_person_signs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "nightly"], check=True)
    public = (tmp_path / "nightly.pub").read_text().strip()
    site = fleet(tmp_path, TEXT.replace(KEY, public))
    monkeypatch.setenv("RACKWRIGHT_TOOL", "1")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "nightly").rename(tmp_path / credential_name("file:nightly"))
    with tool_key(site) as key:
        assert key
        assert (key.stat().st_mode & 0o777, key.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        now = utc_now()
        assert signing_key(signers_of(site, now), key, now).signer == "nightly"
    assert not key.exists()


def test_elsewhere_a_person_has_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RACKWRIGHT_TOOL", raising=False)
    with tool_key(fleet(tmp_path)) as key:
        assert key is None


def test_a_missing_key_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RACKWRIGHT_TOOL", "1")
    with pytest.raises(SecretError, match=r"unattended\.key"), tool_key(fleet(tmp_path)):
        pass

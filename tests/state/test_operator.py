from __future__ import annotations

import getpass
import subprocess

from rackwright.state.operator import fingerprint_of, operator


def test_an_operator_is_named_with_the_fingerprint_that_ssh_keygen_shows(tmp_path):
    key = tmp_path / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    shown = subprocess.run(["ssh-keygen", "-lf", key], check=True, capture_output=True, text=True).stdout.split()[1]
    assert fingerprint_of(tmp_path / "id.pub") == shown
    assert operator(shown).who.endswith(f"({shown})")
    assert operator(shown, "anna").who.endswith(f"(anna, {shown})")


def test_an_operator_without_a_key_file_is_user_and_machine(tmp_path):
    (tmp_path / "id.pub").write_text("garbage")
    for key in (tmp_path / "id.pub", tmp_path / "none"):
        assert fingerprint_of(key) is None
    assert operator().who.endswith(f"@{operator().machine}")


def test_an_operator_whom_the_machine_does_not_know_is_unknown(monkeypatch):
    def unknown():
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr(getpass, "getuser", unknown)
    assert operator().who == f"unknown@{operator().machine}"

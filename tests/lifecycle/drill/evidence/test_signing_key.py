from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rackwright.errors import ProofError, RackwrightError, UsageError
from rackwright.lifecycle.drill.evidence import signature
from rackwright.lifecycle.drill.evidence.signature import REPORT, REVIEW, sign, verify_signature
from rackwright.lifecycle.drill.evidence.signing_key import signing_key
from rackwright.state.formats import utc_now


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "home"
    (folder / ".ssh").mkdir(parents=True, mode=0o700)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return folder


@pytest.fixture
def agent(tmp_path, monkeypatch):
    """A real agent without keys."""
    socket = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.PIPE)
    process.stdout.readline()  # it listens now
    monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
    yield
    process.terminate()
    process.wait()
    process.stdout.close()


def put_at_home(home: Path, keys: Path, name: str) -> Path:
    private = home / ".ssh" / "id_ed25519"
    private.write_bytes((keys / name).read_bytes())
    private.chmod(0o600)
    private.with_suffix(".pub").write_bytes((keys / f"{name}.pub").read_bytes())
    return private


def test_the_given_key_signs_whoever_it_belongs_to(office, keys):
    found = signing_key(office.signers, keys / "ben", utc_now())
    assert (found.signer, found.private) == ("ben", keys / "ben")


def test_a_key_in_the_home_folder_is_found(office, keys, home):
    private = put_at_home(home, keys, "anna")
    assert signing_key(office.signers, None, utc_now()).private == private


def test_a_key_in_the_agent_signs_without_its_file(office, keys, agent):
    subprocess.run(["ssh-add", "-q", keys / "mallory", keys / "anna"], check=True, capture_output=True)
    found = signing_key(office.signers, None, utc_now())
    assert (found.signer, found.private) == ("anna", None)
    assert verify_signature(b"text", sign(b"text", found, REPORT), "anna", office.signers, REPORT, utc_now())
    assert signing_key(office.signers, keys / "anna.pub", utc_now()).signer == "anna"


def test_no_key_of_a_signer_is_an_error_that_names_them(office, keys, home, agent):
    put_at_home(home, keys, "mallory")
    with pytest.raises(UsageError) as error:
        signing_key(office.signers, None, utc_now())
    assert "anna, ben" in str(error.value)
    assert "drill signers" in str(error.value)


def test_a_key_of_someone_else_is_refused(office, keys):
    with pytest.raises(UsageError, match="isn't a signer's key"):
        signing_key(office.signers, keys / "mallory", utc_now())


def test_an_ended_key_a_key_for_reviews_and_the_reports_own_signer_are_refused(office, keys, home):
    put_at_home(home, keys, "anna")
    now = utc_now()
    ended = [replace(office.signer("anna"), before=now - timedelta(days=1))]
    reviewer = [replace(office.signer("anna"), purposes=(REVIEW,))]
    for given in (keys / "anna", None):
        for signers in (ended, reviewer):
            with pytest.raises(UsageError):
                signing_key(signers, given, now)
        with pytest.raises(UsageError):
            signing_key(office.signers, given, now, purpose=REVIEW, besides="anna")
    assert signing_key(reviewer, None, now, purpose=REVIEW).signer == "anna"


def test_a_key_that_can_not_sign_is_found_before_the_drill(office, keys, home, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="isn't a file"):
        signing_key(office.signers, tmp_path / "none", utc_now())
    private = put_at_home(home, keys, "anna")
    # Nobody is there who could type the passphrase.
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret-words", "-f", private], check=True)
    monkeypatch.setenv("SSH_ASKPASS", "/bin/false")
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    for given in (private, None):
        with pytest.raises(RackwrightError, match="ssh-keygen didn't sign") as error:
            signing_key(office.signers, given, utc_now())
        assert "secret" not in str(error.value)


def test_ssh_keygen_that_is_missing_or_waits_for_too_long_is_an_error(office, keys, monkeypatch, tmp_path):
    monkeypatch.setattr(signature, "_ASK_SECONDS", 0)
    with pytest.raises(RackwrightError, match="didn't answer"):
        signing_key(office.signers, keys / "anna", utc_now())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RackwrightError, match="isn't installed"):
        signing_key(office.signers, keys / "anna", utc_now())


def test_a_signature_counts_for_its_content_purpose_time_and_name_only(office):
    made = sign(b"text", office.key(), REPORT)
    now = utc_now()
    good = (b"text", made, "anna", office.signers, REPORT, now)
    assert verify_signature(*good).name == "anna"
    ended = (replace(office.signer("anna"), before=now),)
    begins = (replace(office.signer("anna"), after=now + timedelta(days=1)),)
    for place, other in (
        (0, b"tex"),
        (1, made[:-40] + b"AAAA" + made[-36:]),
        (1, b""),
        (2, "ben"),
        (3, (office.signer("ben"),)),
        (3, ended),
        (3, begins),
        (4, REVIEW),
    ):
        with pytest.raises(ProofError):
            verify_signature(*good[:place], other, *good[place + 1 :])


def test_a_date_is_in_utc_wherever_this_machine_is(office, monkeypatch):
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    now = utc_now()
    signers = (replace(office.signer("anna"), after=now - timedelta(hours=1), before=now + timedelta(hours=1)),)
    made = sign(b"text", office.key(), REPORT)
    assert verify_signature(b"text", made, "anna", signers, REPORT, now)
    assert os.environ["TZ"] == "Pacific/Kiritimati"


def test_ssh_keygen_itself_decides_too_about_signer_purpose_and_time(office):
    made, now = sign(b"text", office.key(), REPORT), utc_now()
    anna = office.signer("anna")
    signature._verify(b"text", made, anna, REPORT, now)
    ended = replace(anna, before=now - timedelta(days=1))
    for signer, purpose in ((office.signer("ben"), REPORT), (anna, REVIEW), (ended, REPORT)):
        with pytest.raises(ProofError):
            signature._verify(b"text", made, signer, purpose, now)

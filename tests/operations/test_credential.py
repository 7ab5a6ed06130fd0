from __future__ import annotations

import base64
import hashlib
import subprocess
from pathlib import Path

import pytest

from rackwright.operations.credential import Credential, credentials
from rackwright.operations.facts.credential import CredentialDigests
from rackwright.values.secrets import Secret
from tests.fakes import commands, play

WANTED = (
    Credential("/etc/rackwright/a.password.cred", "password", Secret("one")),
    Credential("/etc/rackwright/b.key.cred", "key", Secret("two\n")),
)


def role() -> None:
    credentials(name="Keep", wanted=WANTED)


def found(*secrets: str) -> dict[str, str]:
    return {
        one.path: hashlib.sha256(secret.encode()).hexdigest() for one, secret in zip(WANTED, secrets, strict=False)
    }


def test_what_decrypts_to_its_secret_is_left() -> None:
    assert commands(role, facts={CredentialDigests: found("one", "two\n")}) == []


def test_only_what_differs_or_is_missing_is_written() -> None:
    (written,) = commands(role, facts={CredentialDigests: found("one", "two")})
    assert "--name=key - /etc/rackwright/b.key.cred.rackwright-new" in written
    (written,) = commands(role, facts={CredentialDigests: found("other", "two\n") | found()})
    assert "--name=password" in written
    assert len(commands(role, facts={CredentialDigests: {}})) == 2


def test_nothing_tells_the_secret() -> None:
    played = play(role, facts={CredentialDigests: found("zwei")})
    shown = str(played)
    for text in ("one", "two", base64.b64encode(b"one").decode()):
        assert text not in shown.replace("none", "")


@pytest.fixture
def decrypting(tmp_path: Path) -> str:
    """A folder with a stand-in for systemd-creds, which decrypts the named credential."""
    program = tmp_path / "systemd-creds"
    program.write_text('#!/bin/sh\n[ "$2" = --name=password ] || exit 1\ncat "$4"\n')
    program.chmod(0o755)
    return str(tmp_path)


def test_the_fact_gives_a_digest_of_what_opens_and_none_of_what_is_not_there(decrypting: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one")
    asked = tuple((str(tmp_path / name), "password") for name in ("a", "missing"))
    fact = CredentialDigests()
    done = subprocess.run(
        ["sh", "-c", fact.command(asked)], env={"PATH": f"{decrypting}:/usr/bin:/bin"}, capture_output=True, text=True
    )
    assert fact.process(done.stdout.splitlines()) == {asked[0][0]: hashlib.sha256(b"one").hexdigest()}
    shut = fact.command(((asked[0][0], "other"),))
    done = subprocess.run(
        ["sh", "-c", shut], env={"PATH": f"{decrypting}:/usr/bin:/bin"}, capture_output=True, text=True
    )
    assert fact.process(done.stdout.splitlines()) == {asked[0][0]: hashlib.sha256(b"").hexdigest()}

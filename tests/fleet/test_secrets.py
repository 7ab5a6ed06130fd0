from __future__ import annotations

import sys

import pytest

from rackwright.errors import SecretError
from rackwright.fleet import secrets
from rackwright.fleet.secrets import resolve
from rackwright.values.secrets import Secret
from rackwright.values.tool_mode import credential_name

WHERE = "fleet.yml:2 sudo.password"


def refused(reference, folder=None):
    with pytest.raises(SecretError) as error:
        resolve(reference, where=WHERE, folder=folder)
    return str(error.value)


def test_reads_the_environment(monkeypatch):
    monkeypatch.setenv("ACME_SECRET", "hunter2")
    assert resolve("env:ACME_SECRET", where=WHERE) == Secret("hunter2")


def test_an_unset_variable_says_what_to_do(monkeypatch):
    monkeypatch.delenv("ACME_SECRET", raising=False)
    assert refused("env:ACME_SECRET") == (
        f"{WHERE}: the environment variable ACME_SECRET is not set; should contain the secret\n"
        "  next: export ACME_SECRET=…, or use file: or cmd:"
    )


def test_an_empty_variable_is_refused(monkeypatch):
    monkeypatch.setenv("ACME_SECRET", "")
    assert refused("env:ACME_SECRET") == f"{WHERE}: env:ACME_SECRET is empty; a secret has at least one character"


def test_a_file_is_read_beside_the_fleet_file_without_its_last_newline(tmp_path):
    (tmp_path / "password").write_text("a\nb\n\n")
    assert resolve("file:password", where=WHERE, folder=tmp_path) == Secret("a\nb\n")


def test_a_missing_file_is_named(tmp_path):
    assert refused("file:password", tmp_path) == (
        f"{WHERE}: {tmp_path}/password can't be read: No such file or directory; "
        "should be a file that you may read, with the secret and nothing else"
    )


def test_a_binary_file_is_refused_without_its_content(tmp_path):
    (tmp_path / "password").write_bytes(b"hunter2\xff")
    assert "hunter2" not in refused("file:password", tmp_path)


def test_a_command_runs_in_the_folder_without_a_shell(tmp_path):
    (tmp_path / "password").write_text("hunter2\n")
    assert resolve("cmd:cat password", where=WHERE, folder=tmp_path) == Secret("hunter2")
    assert resolve("cmd:echo '$HOME; $(id)'", where=WHERE) == Secret("$HOME; $(id)")


def test_a_command_that_fails_is_named_without_its_output():
    command = f"""cmd:{sys.executable} -c "import sys; print('hun' + 'ter2'); sys.exit('hun' + 'ter2')" """
    message = refused(command)
    assert f"{sys.executable} ended with exit status 1" in message
    assert "hunter2" not in message


def test_a_missing_program_is_named():
    assert refused("cmd:no-such-program x").startswith(
        f"{WHERE}: no-such-program can't be run: No such file or directory; should print the secret and nothing else"
    )


def test_a_command_that_hangs_is_stopped(monkeypatch):
    monkeypatch.setattr(secrets, "COMMAND_SECONDS", 0.05)
    assert "didn't finish within 0.05 seconds" in refused("cmd:sleep 20")


def test_a_quote_that_is_not_closed_is_named():
    assert refused("cmd:echo 'x") == f"{WHERE}: the command can't be read: No closing quotation; check its quotes"


def test_a_bare_secret_is_not_a_reference_and_not_shown():
    assert refused("hunter2") == f"{WHERE}: not a secret reference; should be env:NAME, file:PATH or cmd:COMMAND"


@pytest.fixture
def tool(monkeypatch, tmp_path):
    """Make this process the tool on a control host; return the folder with its credentials."""
    monkeypatch.setenv("RACKWRIGHT_TOOL", "1")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    return tmp_path


def test_in_tool_mode_a_secret_is_what_was_delivered(tool, monkeypatch):
    for reference in ("env:ACME_SECRET", "file:secrets/acme", "cmd:pass show acme"):
        (tool / credential_name(reference)).write_text(f"of {reference}\n")
        assert resolve(reference, where=WHERE) == Secret(f"of {reference}")


def test_in_tool_mode_nothing_else_counts(tool, monkeypatch):
    monkeypatch.setenv("ACME_SECRET", "hunter2")
    (tool / "secret").write_text("hunter2")
    for reference in ("env:ACME_SECRET", f"file:{tool}/secret", "cmd:echo hunter2"):
        assert refused(reference, folder=tool) == (
            f"{WHERE}: this secret isn't on this control host; an apply from a controller delivers the secrets that "
            "the tool needs\n  next: rackwright apply, from a controller"
        )
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    assert "isn't on this control host" in refused("env:ACME_SECRET")


def test_in_tool_mode_a_drill_reads_what_it_restored(tool, tmp_path, monkeypatch):
    monkeypatch.setattr("rackwright.values.tool_mode.gettempdir", lambda: str(tmp_path))
    for name in ("rackwright-private-7-x", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ca.key").write_text("hunter2\n")
    assert resolve(f"file:{tmp_path}/rackwright-private-7-x/ca.key", where=WHERE) == Secret("hunter2")
    for path in ("other/ca.key", "rackwright-private-7-x/../other/ca.key"):
        assert "isn't on this control host" in refused(f"file:{tmp_path}/{path}")


def test_names_of_credentials_are_apart_and_show_nothing():
    one, other = credential_name("env:ACME_SECRET"), credential_name("env:ACME_OTHER")
    assert one != other
    assert len(one) == 32
    assert set(one) <= set("0123456789abcdef")

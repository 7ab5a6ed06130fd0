"""`backup show` and `backup get` as an operator sees them, with real restic in folders of this machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cheap_key import empty_repository
from tests.cli.command_line import Ran, rackwright
from tests.lifecycle.backup.saved import PASSWORD, Saved, here

FLEET = """
backup:
  to:
    - {{name: one, url: {folder}/one, password: "file:{folder}/password-{{host}}"}}
    - {{name: two, url: {folder}/two, password: "file:{folder}/password-{{host}}"}}
"""


@pytest.fixture
def saved(tmp_path: Path, site: Path, monkeypatch: pytest.MonkeyPatch) -> Saved:
    """The example's gate1 with one snapshot. The fleet file names it, but it is not in service."""
    made = here(tmp_path / "machine", monkeypatch)
    (made.var / "a\x1b[2Jb").write_text("x")
    empty_repository(made.folder("one"), PASSWORD)
    with site.open("a") as stream:
        stream.write(FLEET.format(folder=tmp_path / "machine"))
    monkeypatch.setattr("rackwright.fleet.fleet.Fleet.hosts", ())
    return made


@pytest.fixture
def ask(site: Path):
    def asked(*words: object) -> Ran:
        return rackwright("-f", site, "backup", *words)

    return asked


def test_show_names_the_snapshot_and_what_was_passed_over(saved, ask):
    snapshot = saved.save("one")
    forged = saved.save("one", author="gpu1")
    ran = ask("show", "gate1")
    assert ran.exit_code == 0, ran.stderr
    first, *rest = ran.stdout.splitlines()
    assert first.startswith(f"gate1: {snapshot[:8]} of 20")
    assert ", 4 files, " in first
    assert first.endswith("; one, read from this machine")
    assert any(line.startswith(f"passed over: one: {forged[:8]} of 20") and "may be forged" in line for line in rest)
    assert any(line.startswith("passed over: two: ") for line in rest)
    assert "FILES  SIZE" in ran.stdout
    document = ask("show", "gate1", "--json").document
    assert (document["id"], document["repository"], document["read_on_host"]) == (snapshot, "one", False)
    assert [one["path"] for one in document["folders"]] == [str(saved.etc), str(saved.var)]
    assert [one["repository"] for one in document["passed_over"]] == ["one", "two"]


def test_show_lists_the_files_below_a_path_and_a_terminal_gets_only_printable_text(saved, ask):
    saved.save("one")
    ran = ask("show", "gate1", saved.var)
    assert ran.exit_code == 0
    assert "\x1b" not in ran.stdout
    assert "a\\x1b[2Jb" in ran.stdout
    entries = ask("show", "gate1", f"{saved.var}/", "--json").document["entries"]
    assert [(Path(one["path"]).name, one["type"]) for one in entries] == [
        ("rackwright", "dir"),
        ("a\x1b[2Jb", "file"),
        ("audit.log", "file"),
        ("record.json", "file"),
    ]


def test_a_path_that_is_not_there_is_exit_code_1_with_what_is_near(saved, ask):
    saved.save("one")
    for words in (["show", "gate1"], ["get", "gate1", "--output", saved.root / "new"]):
        ran = ask(*words, saved.var / "audit.lgo")
        assert (ran.exit_code, ran.stdout) == (1, "")
        assert f"isn't in the snapshot {saved.chosen().snapshot.id[:8]} of gate1 at one" in ran.stderr
        assert f"  - {saved.var}/audit.log" in ran.stderr
    assert not (saved.root / "new").exists()


def test_get_writes_a_new_file_and_says_which_snapshot_it_is_from(saved, ask, tmp_path):
    snapshot = saved.save("one")
    output = tmp_path / "audit.log"
    ran = ask("get", "gate1", saved.var / "audit.log", "--output", output)
    assert (ran.exit_code, ran.stdout) == (0, f"{output}\n")
    assert f"gate1: {snapshot[:8]} of 20" in ran.stderr
    assert output.read_text() == (saved.var / "audit.log").read_text()
    again = ask("get", "gate1", saved.var / "audit.log", "--output", output, "--json")
    assert again.exit_code == 1
    assert "there is something already" in again.error["problems"][0]["what"]
    document = ask("get", "gate1", saved.var, "--at", snapshot[:8], "-o", tmp_path / "var.tar", "--json").document
    assert (document["kind"], document["id"]) == ("tar", snapshot)
    assert document["written"] == (tmp_path / "var.tar").stat().st_size


def test_get_never_prints_a_file_to_a_terminal_or_into_a_document_by_itself(saved, ask, monkeypatch):
    ran = ask("get", "gate1", "/etc/x", "--json")
    assert ran.exit_code == 2
    assert "--json prints a document, not a file" in ran.stderr
    for module in ("rackwright.cli.backup.get", "rackwright.terminal"):
        monkeypatch.setattr(f"{module}.on_terminal", lambda: True)
    ran = ask("get", "gate1", "/etc/x")
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "standard output is a terminal" in ran.stderr
    saved.save("one")
    (saved.var / "audit.log").write_text("red \x1b[31m\nend\n")
    saved.save("one")
    assert ask("get", "gate1", saved.var / "audit.log", "-o", "-").stdout == "red \\x1b[31m\nend\n"


def test_get_prints_the_bytes_into_a_pipe(saved, ask, site, tmp_path):
    content = bytes(range(256)) * 10
    (saved.var / "binary").write_bytes(content)
    saved.save("one")
    program = (
        "import io, sys\n"
        "import pytest\n"
        "from tests.lifecycle.backup import saved\n"
        "from rackwright.cli.common.outcome import run\n"
        "with pytest.MonkeyPatch.context() as patch:\n"
        f"    made = saved.constants(__import__('pathlib').Path({str(tmp_path / 'machine')!r}), patch)\n"
        "    patch.setattr('rackwright.fleet.fleet.Fleet.hosts', ())\n"
        "    sys.exit(run(sys.argv[1:]))\n"
    )
    words = ["-f", site, "backup", "get", "gate1", saved.var / "binary"]
    ran = subprocess.run([sys.executable, "-c", program, *map(str, words)], capture_output=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, content), ran.stderr
    assert b"gate1: " in ran.stderr


def test_what_is_not_a_time_or_a_repository_is_a_usage_error(ask, saved):
    for words, said in (
        (["--at", "yesterday"], "--at yesterday: isn't a time or a snapshot's ID"),
        (["--from", "three"], "three: no repository of that name; should be one of one, two"),
        (["etc/x"], "etc/x: isn't an absolute path"),
    ):
        ran = ask("show", "gate1", *words)
        assert ran.exit_code == 2
        assert said in ran.stderr
    ran = ask("show", "gate1", "--json", "--from", "two")
    assert ran.exit_code == 3
    assert json.loads(ran.stderr)["error"]["problems"][0]["where"] == "gate1"

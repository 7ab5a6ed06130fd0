from __future__ import annotations

import subprocess
from pathlib import Path

from tests.cli.command_line import rackwright

EXAMPLE = Path(__file__).parents[2] / "inventory" / "example.yml"


def test_init_writes_the_example(tmp_path):
    path = tmp_path / "inventory" / "site.yml"
    ran = rackwright("init", path)
    assert ran.exit_code == 0
    assert f"rackwright -f {path} check --offline" in ran.stdout
    assert path.read_text() == EXAMPLE.read_text()


def test_init_keeps_secrets_out_of_git_and_everything_else_in_it(tmp_path):
    path = tmp_path / "site.yml"
    assert f"{tmp_path}/.gitignore written." in rackwright("init", path).stdout
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    names = (
        "site.lock",
        "site.lock.next",
        "site.keys.yml",
        "site.known_hosts",
        "site.ca.crt",
        "secrets/token",
        "tls.key",
    )
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    said = subprocess.run(
        ["git", "-C", tmp_path, "ls-files", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert said.stdout.split() == [
        ".gitignore",
        "site.ca.crt",
        "site.keys.yml",
        "site.known_hosts",
        "site.lock",
        "site.yml",
    ]


def test_init_leaves_a_gitignore_alone(tmp_path):
    (tmp_path / ".gitignore").write_text("mine")
    document = rackwright("init", tmp_path / "site.yml", "--json").document
    assert document == {"written": str(tmp_path / "site.yml"), "gitignore": None}
    assert (tmp_path / ".gitignore").read_text() == "mine"


def test_init_takes_the_fleet_option_and_answers_in_json(tmp_path):
    path = tmp_path / "site.yml"
    assert rackwright("init", "-f", path, "--json").document == {
        "written": str(path),
        "gitignore": str(tmp_path / ".gitignore"),
    }
    assert path.exists()


def test_init_overwrites_nothing(tmp_path):
    path = tmp_path / "site.yml"
    path.write_text("mine")
    ran = rackwright("init", path, "--json")
    assert ran.exit_code == 1
    assert ran.error["problems"][0] == {
        "where": str(path),
        "what": "the file already exists",
        "should": "init never overwrites a file",
        "listed": [],
        "next": "rackwright check --offline",
    }
    assert path.read_text() == "mine"

from __future__ import annotations

from pathlib import Path

from tests.cli.command_line import rackwright

EXAMPLE = Path(__file__).parents[2] / "inventory" / "example.yml"


def test_init_writes_the_example(tmp_path):
    path = tmp_path / "inventory" / "site.yml"
    ran = rackwright("init", path)
    assert ran.exit_code == 0
    assert f"rackwright -f {path} check --offline" in ran.stdout
    assert path.read_text() == EXAMPLE.read_text()


def test_init_takes_the_fleet_option_and_answers_in_json(tmp_path):
    path = tmp_path / "site.yml"
    assert rackwright("init", "-f", path, "--json").document == {"written": str(path)}
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

"""The kit through the commands that save it: real restic, a real rest-server, and a folder as control host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rackwright import remote
from rackwright.lifecycle import key as keys
from rackwright.lifecycle.backup import destinations, kit_repository, snapshots
from rackwright.lifecycle.session import session
from tests.cli.command_line import rackwright
from tests.lifecycle.backup.kit_fleet import Site, make_site
from tests.rest_server import start


@pytest.fixture
def vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    (tmp_path / "rest").mkdir()
    server = start(tmp_path / "rest")
    made = make_site(tmp_path, server, monkeypatch)
    made.make_repository()
    monkeypatch.setattr(remote, "Remote", made.hosts)
    monkeypatch.setattr(keys, "push_key", lambda *_: keys.Pushed({"gate1": None}))
    yield made
    server.stop()


def test_it_is_saved_by_hand_and_the_answer_says_what_it_lacks(vault: Site, tmp_path: Path) -> None:
    done = rackwright("-f", vault.path, "backup", "kit", "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    (made,) = done.document["kits"]
    assert made["snapshot"] == vault.snapshots()[0]["id"]
    assert (made["with_ca_key"], made["problem"], done.document["good"]) == (True, None, 1)
    next((tmp_path / "config/rackwright/acme").glob("ca-*.key")).unlink()
    done = rackwright("-f", vault.path, "backup", "kit", "--to", "web")
    assert done.exit_code == 0
    assert done.stdout.startswith("ok   kit to web: ")
    assert "the kit has no CA key: " in done.stderr
    assert "not in the kit: fleet/sites/secrets/password: a secret" in done.stderr


def test_one_that_can_not_be_saved_is_exit_code_3_with_the_next_command(
    vault: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kit_repository, "_REACH_SECONDS", 1)
    vault.server.stop()
    done = rackwright("-f", vault.path, "backup", "kit")
    assert done.exit_code == 3
    assert "FAIL kit to web: can't be reached within 1 s" in done.stdout
    assert "next: rackwright backup kit --to web" in done.stderr


def test_kits_are_listed_with_the_snapshots_or_by_name(vault: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rackwright("-f", vault.path, "backup", "kit").exit_code == 0
    asked: list[tuple[str, ...]] = []
    of_hosts = (snapshots.Listed("gate1", "web", "a" * 64, "2026-11-29T03:00:00Z", "root@gate1", 1, 2),)

    @contextmanager
    def opened(fleet: object, limit: tuple[str, ...]) -> Iterator[None]:
        asked.append(limit)
        yield None

    monkeypatch.setattr(session, "open_session", opened)
    monkeypatch.setattr(destinations, "places", lambda session, to: ())
    monkeypatch.setattr(snapshots, "listed", lambda session, wanted: (of_hosts, {}))
    (kit,) = vault.snapshots()
    done = rackwright("-f", vault.path, "backup", "list", "--json")
    assert (done.exit_code, done.stderr, asked) == (0, "", [()])
    first, second = done.document["snapshots"]
    assert (first["host"], second["host"], second["repository"], second["id"]) == ("gate1", "kit", "web", kit["id"])
    assert second["files"] > 3
    done = rackwright("-f", vault.path, "backup", "list", "gate1", "--json")
    assert [one["host"] for one in done.document["snapshots"]] == ["gate1"]
    done = rackwright("-f", vault.path, "backup", "list", "kit")
    assert (done.exit_code, asked) == (0, [(), ("gate1",)]), "hosts aren't asked"
    assert done.stdout.splitlines()[1].startswith(f"kit   web         {kit['id'][:8]}  ")
    done = rackwright("-f", vault.path, "backup", "list", "kit", "gate1", "--json")
    assert [one["host"] for one in done.document["snapshots"]] == ["gate1", "kit"]


def test_a_kit_that_someone_else_made_is_named(vault: Site) -> None:
    vault.restic("backup", "-q", "--host", "gpu9", "/etc/hostname")
    done = rackwright("-f", vault.path, "backup", "list", "kit")
    assert "@gpu9, not by an operator as NAME@kit" in done.stderr


def test_a_kit_that_can_not_be_listed_is_named_and_exits_with_3(vault: Site) -> None:
    vault.path.parent.joinpath("secrets/password").write_text("another one")
    done = rackwright("-f", vault.path, "backup", "list", "kit", "--json")
    assert (done.exit_code, done.document["failed"]) == (
        3,
        [{"host": "kit", "repository": "web", "problem": "wrong password"}],
    )
    vault.path.parent.joinpath("secrets/kit.login").unlink()
    done = rackwright("-f", vault.path, "backup", "list", "kit")
    assert done.exit_code == 3
    assert "kit: web: " in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [(("--to", "elsewhere"), "elsewhere: no repository of that name"), ((), "backup.snapshots: is no")],
)
def test_a_kit_that_can_not_be_is_a_wrong_use(vault: Site, words: tuple[str, ...], said: str) -> None:
    if not words:
        vault.path.write_text(vault.path.read_text().replace("backup: {", "backup: {snapshots: no, "))
    done = rackwright("-f", vault.path, "backup", "list", "kit", *words)
    assert done.exit_code == 2
    assert said in done.stderr


def test_each_change_of_a_key_is_in_the_kit_and_later_is_later(vault: Site) -> None:
    assert rackwright("-f", vault.path, "key", "add", "ci", "--owner", "CI", "--later").exit_code == 0
    for count, words in enumerate(
        (
            ("key", "edit", "ci", "--concurrency", "3"),
            ("key", "add", "anna", "--owner", "Anna"),
            ("key", "revoke", "ci", "--yes"),
        ),
        start=1,
    ):
        assert rackwright("-f", vault.path, *words).exit_code == 0
        assert len(vault.snapshots()) == count
        saved = vault.restic("dump", "latest", "/fleet/sites/acme.keys.yml")
        assert saved == vault.path.with_name("acme.keys.yml").read_text()


def test_a_key_is_revoked_though_the_kit_can_not_be_saved(vault: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kit_repository, "_REACH_SECONDS", 1)
    rackwright("-f", vault.path, "key", "add", "ci", "--owner", "CI", "--later")
    told: list[object] = []
    monkeypatch.setattr(keys, "push_key", lambda *said: told.append(said) or keys.Pushed({"gate1": None}))
    vault.server.stop()
    done = rackwright("-f", vault.path, "key", "revoke", "ci", "--yes", "--json")
    assert (done.exit_code, len(told)) == (3, 1)
    assert done.document["revoked"]["id"] == "ci"
    assert done.error["problems"][0]["next"] == "rackwright backup kit --to web"


def test_the_password_to_keep_in_a_safe_is_printed_without_a_note(vault: Site) -> None:
    done = rackwright("-f", vault.path, "backup", "password", "kit", "--to", "web")
    assert (done.exit_code, len(done.stdout), done.stderr) == (0, 65, "")

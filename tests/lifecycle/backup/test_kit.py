"""The kit, saved by real restic to a real, append-only rest-server, from a real git repository."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from rackwright.errors import LeasedError, RackwrightError, UsageError
from rackwright.fleet.backup_access import reached_from_here
from rackwright.fleet.keys_file import write_keys
from rackwright.lifecycle.backup import kit_content, kit_history, kit_repository
from rackwright.lifecycle.backup.kit import refresh, refreshed, repositories_of
from rackwright.lifecycle.backup.kit_forget import forget_kits
from rackwright.lifecycle.backup.kit_repository import WITH_CA_KEY
from rackwright.lifecycle.backup.restic_here import restic_here
from rackwright.roles.backup.settings import Access, Repository
from rackwright.state.applied import applied_from, write_applied
from rackwright.state.checkout import checkout
from rackwright.state.formats import utc_now
from rackwright.state.kit import parse_contents, read_kit
from tests.fleet.test_backup import DISK, SSH, WEB, fleet
from tests.lifecycle.backup.kit_fleet import PASSWORD, Said, Site, make_site
from tests.rest_server import RestServer, login_of
from tests.waiting import wait_until


@pytest.fixture
def new_site(tmp_path: Path, rest_server: RestServer, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A fleet whose kit has no repository yet."""
    return make_site(tmp_path, rest_server, monkeypatch)


@pytest.fixture
def site(new_site: Site) -> Site:
    new_site.make_repository()
    return new_site


def applied(site: Site, run: str) -> None:
    """Leave these files on the control host, as an apply does."""
    write_applied(
        site.host, applied_from(checkout(site.fleet), who="anna", run=run, when=utc_now()), folder=site.host.var
    )


def test_it_has_the_folder_with_its_history_the_cas_key_and_a_list_of_the_secrets(
    new_site: Site, tmp_path: Path
) -> None:
    site = new_site
    kits = site.save()
    assert (kits.error, kits.warnings) == (None, tuple(f"not in the kit: {name}" for name in kits.left_out))
    (made,) = kits.made
    assert made.saved is not None
    site.restic("restore", "latest", "--target", str(tmp_path / "back"), "--verify")
    back = tmp_path / "back" / "fleet"
    assert (back / "sites/acme.yml").read_bytes() == site.path.read_bytes()
    assert (back / "README").read_text() == "ours"
    assert subprocess.run(["git", "log", "--format=%s"], cwd=back, capture_output=True, text=True).stdout == "first\n"
    assert subprocess.run(["git", "status", "--porcelain"], cwd=back, capture_output=True, text=True).stdout == (
        site.git("status", "--porcelain").replace("?? sites/secrets/\n", "")
    )
    assert (tmp_path / "back/ca.key").read_text().strip() == site.ca_key.read_text().strip()
    contents = parse_contents((tmp_path / "back/references.json").read_text(), "kit")
    assert (contents.fleet, contents.fleet_file, contents.with_ca_key) == ("acme", "fleet/sites/acme.yml", True)
    assert contents.commit == site.git("rev-parse", "HEAD").strip()
    assert {(one.where, one.reference) for one in contents.references} == {
        ("backup.to[0].password", "file:secrets/password"),
        *(
            (f"backup.to[0].login of {name}", f"file:secrets/{name}.login")
            for name in ("gate1", "gpu1", "gpu2", "kit")
        ),
    }
    assert contents.files + 1 == made.saved.files
    assert not (back / "notes.ignored").exists()


def test_no_secret_but_the_cas_key_is_in_it(site: Site, tmp_path: Path) -> None:
    (site.folder / "linked").hardlink_to(site.path.parent / "secrets" / "password")
    (site.folder / "key copy").symlink_to(site.ca_key)
    (site.path.parent / "secrets" / "gone.login").write_text(login_of("gone"))
    site.git("remote", "add", "origin", "https://bot:t0ken@git.acme.internal/fleet")
    site.git("config", "http.https://git.acme.internal/.extraheader", "Authorization: Basic t0ken")
    left_out = site.save().left_out
    assert "fleet/sites/secrets/password: a secret" in left_out
    assert "fleet/sites/secrets/gone.login: a secret" in left_out
    assert "fleet/key copy: a secret" in left_out
    site.restic("restore", "latest", "--target", str(tmp_path / "back"))
    texts = {path: path.read_bytes() for path in (tmp_path / "back").rglob("*") if path.is_file()}
    for secret in (PASSWORD, login_of("gate1"), login_of("kit"), login_of("gone"), "t0ken"):
        assert not [path for path, text in texts.items() if secret.encode() in text], secret
    assert [path.name for path, text in texts.items() if b"PRIVATE KEY" in text] == ["ca.key"]
    assert b"https://git.acme.internal/fleet" in texts[tmp_path / "back/fleet/.git/config"]


def test_no_secret_of_a_migration_plan_is_in_it(site: Site) -> None:
    """Not even of a plan that can't be read any more."""
    keys = {"identity": "file:age key.txt", "admin_key": "'file:secret/admin'"}
    (site.path.parent / "secret").mkdir()
    for written in keys.values():
        (site.path.parent / written.strip("'").removeprefix("file:")).write_text("x")
    lines = [f"  {key}: {written} # ours\n" for key, written in keys.items()]
    site.path.with_name("acme.migrate-support.yml").write_text(f"records:\n{''.join(lines)}")
    (site.path.parent / "flow key").write_text("x")
    site.path.with_name("acme.migrate-other.yml").write_text('records: {identity: "file:flow key", recipient: x}\n')
    left_out = site.save().left_out
    for name in ("age key.txt", "secret/admin", "flow key"):
        assert f"fleet/sites/{name}: a secret" in left_out


def test_a_secret_that_is_committed_is_named(site: Site) -> None:
    site.git("add", "sites/secrets/password")
    assert "sites/secrets/password: but it is committed, so the kit's .git has it" in site.save().left_out


def test_what_is_too_large_is_left_out_and_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    (site.folder / "weights.gguf").write_bytes(b"x" * 200_000)
    monkeypatch.setattr(kit_content, "MOST_BYTES", 100_000)
    monkeypatch.setattr(kit_history, "MOST_FILES", 3)
    left_out = site.save().left_out
    assert "fleet/weights.gguf: 200.0 kB, too large" in left_out
    assert any(line.startswith(".git: ") and line.endswith("files, too large") for line in left_out)
    assert "/fleet/weights.gguf" not in site.listed()


def test_a_kit_has_no_more_files_than_a_restore_takes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        (site.folder / f"file{number}").write_text("x")
    monkeypatch.setattr(kit_content, "MOST_FILES", 2)
    assert any(line.endswith(": 2 files before it are enough") for line in site.save().left_out)


def test_a_clone_of_the_history_has_the_same_limit(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kit_history.GitFolder, "own", None)
    monkeypatch.setattr(kit_history, "MOST_FILES", 3)
    left_out = site.save().left_out
    assert any(line.startswith(".git: ") and line.endswith("files, too large") for line in left_out)
    assert not [path for path in site.listed() if path.startswith("/fleet/.git/")]


def test_a_linked_working_tree_brings_its_whole_history(site: Site, tmp_path: Path) -> None:
    site.git("add", "-A")
    site.git("worktree", "add", "-q", str(tmp_path / "linked"))
    shutil.copytree(site.path.parent / "secrets", tmp_path / "linked" / "sites" / "secrets", dirs_exist_ok=True)
    shutil.copy(site.path.with_name("acme.ca.crt"), tmp_path / "linked" / "sites")
    linked = Site(tmp_path / "linked", site.server, site.host)
    assert linked.save().error is None
    site.restic("restore", "latest", "--target", str(tmp_path / "back"))
    log = ["git", "-C", str(tmp_path / "back/fleet"), "log", "--format=%s"]
    assert subprocess.run(log, capture_output=True, text=True, check=True).stdout == "first\n"


def test_without_git_it_has_the_files_of_the_fleet_alone(site: Site) -> None:
    shutil.rmtree(site.folder / ".git")
    write_keys(site.fleet.sibling("keys.yml"), ())
    assert site.save().error is None
    files = [path for path in site.listed() if "." in path.rpartition("/")[2]]
    assert sorted(files) == [
        "/ca.key",
        "/fleet/acme.ca.crt",
        "/fleet/acme.keys.yml",
        "/fleet/acme.yml",
        "/fleet/vault.crt",
        "/references.json",
    ]


def test_a_public_file_outside_of_the_folder_is_in_it_too(site: Site, tmp_path: Path) -> None:
    (tmp_path / "bundle.pem").write_text(site.server.ca)
    with site.path.open("a") as stream:
        stream.write(f"downloads: {{ca_bundle: {tmp_path}/bundle.pem}}\n")
    assert site.save().error is None
    assert f"/elsewhere{tmp_path}/bundle.pem" in site.listed()


def test_without_the_cas_key_it_is_saved_loudly_and_pushes_out_none_that_has_it(site: Site, tmp_path: Path) -> None:
    site.path.write_text(site.path.read_text().replace("append_only: yes, ", ""))
    assert site.save().error is None
    with_key = site.save().made[0].saved
    shutil.move(site.ca_key, tmp_path / "away")
    kits = site.save()
    assert kits.warnings[0] == (
        f"the kit has no CA key: {site.ca_key}: the CA's key isn't on this machine; "
        "run rackwright backup kit on a machine that has it"
    )
    saved = kits.made[0].saved
    assert saved is not None
    assert with_key is not None
    assert (saved.with_ca_key, saved.last_with_ca_key) == (False, with_key.when)
    assert "/ca.key" not in site.listed()
    assert [one["tags"] for one in site.snapshots()].count(["rackwright", WITH_CA_KEY]) == 2


def test_a_key_of_another_ca_is_none(site: Site) -> None:
    site.path.with_name("acme.ca.crt").write_text(site.server.ca)
    assert "the CA's key isn't on this machine" in (site.save().no_ca_key or "")


def test_old_kits_are_forgotten_in_groups_and_a_refused_deletion_is_named(site: Site) -> None:
    site.save()
    for tags in ("rackwright,with-ca-key", "rackwright"):
        for year in (2019, 2020):
            words = ("--time", f"{year}-01-01 00:00:00", "--host", "kit", "--tag", tags)
            site.restic("backup", "-q", *words, str(site.path))
    site.path.write_text(site.path.read_text().replace("append_only: yes, ", ""))
    assert site.problem() == "kit at web: old kits stay: their deletion was refused"


def test_each_group_keeps_its_newest(site: Site) -> None:
    forgotten = site.folder.parent / "rest" / "kit"
    site.save()
    words = ("--host", "kit", "--time", "2020-01-01 00:00:00")
    site.restic("backup", "-q", *words, "--tag", "rackwright", str(site.path))

    _, access = reached_from_here(site.fleet, "kit", "web")
    with restic_here(Repository(name="web", url=str(forgotten)), Access(access.password)) as restic:
        restic("backup", "-q", *words, "--tag", "rackwright", "--tag", WITH_CA_KEY, str(site.path)).check("saving")
        assert forget_kits(restic, timedelta(days=1), utc_now()) is None
    assert sorted(str(one["time"])[:4] for one in site.snapshots()) == ["2020", str(utc_now().year)]


def test_a_kit_dated_in_the_future_is_named_and_pushes_out_none(site: Site) -> None:
    site.save()
    kept = Repository(name="web", url=str(site.folder.parent / "rest" / "kit"))
    ahead = ("--host", "kit", "--time", "2099-01-01 00:00:00", "--tag", "rackwright", "--tag", WITH_CA_KEY)
    site.restic("backup", "-q", *ahead, str(site.path))
    before = {str(one["id"]) for one in site.snapshots()}
    _, access = reached_from_here(site.fleet, "kit", "web")
    with restic_here(kept, Access(access.password)) as restic:
        why = forget_kits(restic, timedelta(days=1), utc_now())
    assert why is not None
    assert "of 2099-01-01T00:00:00Z is dated in the future; if no operator made it, remove it by its ID" in why
    assert {str(one["id"]) for one in site.snapshots()} == before


@pytest.mark.parametrize(("minutes", "side"), [(6, "6 min behind gate1's"), (-6, "6 min ahead of gate1's")])
def test_no_kit_is_saved_while_this_machines_clock_is_wrong(site: Site, minutes: int, side: str) -> None:
    site.host.clock_ahead = 60 * minutes
    with pytest.raises(RackwrightError, match=f"this machine's clock is {side}"):
        site.save()
    site.host.clock_ahead = 4 * minutes * 10
    assert site.save().error is None


def test_a_repository_that_is_gone_is_not_made_again_and_another_is_not_taken_for_it(site: Site) -> None:
    site.save()
    kept = site.folder.parent / "rest" / "kit"
    kept.rename(kept.with_name("away"))
    assert site.problem() == "kit at web: the repository is gone; no new one is created"
    assert not kept.exists()
    site.restic("init", "-q")
    assert site.problem() == "kit at web: there is another repository in its place"


def test_none_is_made_while_it_is_unknown_whether_there_was_one(new_site: Site) -> None:
    new_site.host.gone = True
    error = new_site.save().error
    assert error is not None
    assert [str(problem).partition("\n")[0] for problem in error.problems] == [
        "kit at web: no repository is there, and it isn't known whether there was one before",
        "gate1: the kit isn't recorded: unreachable",
    ]


def test_a_wrong_password_and_a_server_that_is_away_are_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    before = site.save().made[0].saved
    (site.path.parent / "secrets" / "password").write_text("another")
    assert site.problem() == "kit at web: wrong password"
    monkeypatch.setattr(kit_repository, "_REACH_SECONDS", 1)
    site.server.stop()
    assert site.problem() == "kit at web: can't be reached within 1 s"
    assert read_kit(site.host).record.at["web"] == before


def test_a_secret_that_does_not_resolve_is_named(site: Site) -> None:
    (site.path.parent / "secrets" / "kit.login").unlink()
    assert "kit.login can't be read" in site.problem()


def test_a_lock_of_a_dead_process_stops_no_kit_and_that_of_another_machine_is_named(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kit_repository, "PATIENCE", 1)
    site.save()
    locks = site.folder.parent / "rest" / "kit" / "locks"

    settings, access = reached_from_here(site.fleet, "kit", "web")
    with restic_here(settings, access) as restic:
        held = subprocess.Popen(
            ["sh", "-c", f"exec {restic._command} check --read-data --limit-download 1"], stdout=subprocess.DEVNULL
        )

        wait_until(lambda: any(locks.iterdir()))
        assert site.problem() == f"kit at web: locked by process {held.pid} of {socket.gethostname()}, not damaged"
        held.kill()
        held.wait()
    assert any(locks.iterdir())
    assert site.save().error is None
    assert not any(locks.iterdir())


def test_two_at_once_on_a_new_repository_both_succeed(new_site: Site) -> None:
    site = new_site
    words = [sys.executable, "-c", _SAVE, str(site.path), site.host.var]
    with ThreadPoolExecutor(2) as both:
        runs = [both.submit(subprocess.run, words, capture_output=True, text=True, check=False) for _ in range(2)]
    for run in runs:
        assert run.result().stdout == "None\n", run.result().stderr
    assert len(site.snapshots()) == 2


_SAVE = """
import sys
from pathlib import Path
from rackwright.fleet.load import load_fleet
from rackwright.lifecycle.backup.kit import save_kits
from tests.lifecycle.world.session import Quiet
from tests.shells import FolderHosts, FolderShell
hosts = FolderHosts({"gate1": FolderShell(var=sys.argv[2])})
print(save_kits(load_fleet(Path(sys.argv[1])), hosts, ("web",), Quiet()).error)
"""


def test_it_is_recorded_with_the_apply_whose_files_it_has(site: Site) -> None:
    applied(site, "r1")
    write_keys(site.fleet.sibling("keys.yml"), ())
    site.save()
    known = read_kit(site.host)
    assert (known.applied, known.record.at["web"].applied) == ("r1", "r1")
    assert json.loads(Path(site.host.var, "audit.log").read_text())["what"] == "kit at web"


def test_an_old_checkout_makes_no_kit(site: Site) -> None:
    old = site.git("rev-parse", "HEAD").strip()
    (site.folder / "README").write_text("newer")
    site.path.write_text(f"{site.path.read_text()}# newer\n")
    site.git("commit", "-qam", "second")
    applied(site, "r2")
    site.git("reset", "-q", "--hard", old)
    with pytest.raises(LeasedError, match="this checkout lacks the commit") as raised:
        site.save()
    assert raised.value.problems[0].next == "git pull, then rackwright backup kit"
    error = refreshed(site.fleet, site.hosts, ("web",), site.said)  # type: ignore[arg-type]
    assert isinstance(error, LeasedError)


def test_a_copy_of_the_fleet_saves_none(tmp_path: Path) -> None:
    said = Said()
    assert refresh(fleet(tmp_path, SSH, WEB, snapshots="no"), said) is None
    assert said.lines == []


def test_only_sftp_and_rest_have_one(tmp_path: Path) -> None:
    assert repositories_of(fleet(tmp_path, DISK, SSH, WEB), None) == (("ssh", "web"), ("disk",))
    assert repositories_of(fleet(tmp_path, DISK, SSH, WEB), "web") == (("web",), ())
    for to, made in (("disk", fleet(tmp_path, DISK, SSH)), (None, fleet(tmp_path, DISK))):
        with pytest.raises(UsageError, match="disk: is on the hosts' own disks"):
            repositories_of(made, to)
    with pytest.raises(UsageError, match=r"backup\.snapshots: is no: no kit is saved; should be yes"):
        repositories_of(fleet(tmp_path, DISK, WEB, snapshots="no"), None)
    with pytest.raises(UsageError, match="nosuch: no repository of that name"):
        repositories_of(fleet(tmp_path, WEB), "nosuch")

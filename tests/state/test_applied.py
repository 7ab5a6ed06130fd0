from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from rackwright.errors import HostError, LeasedError, RackwrightError
from rackwright.state.applied import applied_from, difference, read_applied, stale_checkout, unpacked, write_applied
from rackwright.state.checkout import Checkout, checkout
from tests.shells import LocalShell

WHEN = datetime(2026, 11, 25, 4, 5, tzinfo=UTC)


class FilesOnly:
    """The part of a Fleet that a checkout needs."""

    def __init__(self, path: Path, *sources: Path, bundle: str | None = None, keyring: str | None = None) -> None:
        self.path, self.sources = path, (path, *sources)
        downloads = SimpleNamespace(ca_bundle=bundle, apt_mirrors=(SimpleNamespace(key=keyring),))
        nothing = SimpleNamespace(certificate=None)
        without = {"backup": None, "patch": None, "drivers": (), "receivers": (), "models": {}, "clouds": {}}
        self.file = SimpleNamespace(downloads=downloads, gateway=nothing, **without)

    def at(self, written: str) -> Path:
        return self.path.parent / written

    def sibling(self, suffix: str) -> Path:
        return self.path.with_name(f"{self.path.stem}.{suffix}")


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=anna", "-c", "user.email=anna@example.org"]
    return subprocess.run(
        ["git", "-C", folder, *identity, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def commit(folder: Path, what: str) -> str:
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", what)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def site(tmp_path: Path) -> FilesOnly:
    folder = tmp_path / "repository" / "inventory"
    folder.mkdir(parents=True)
    (folder / "site.yml").write_text("fleet: acme\n")
    (folder / "site.lock").write_text("format: lock/1\n")
    (folder.parent / "base.yml").write_text("timezone: UTC\n")
    return FilesOnly(folder / "site.yml", folder.parent / "base.yml")


@pytest.fixture
def kept(site: FilesOnly) -> FilesOnly:
    folder = site.path.parents[1]
    git(folder, "init", "-q")
    commit(folder, "first")
    return site


def applied(local: Checkout):
    return applied_from(local, who="ben@desk", run="r1", when=WHEN)


def test_a_checkout_holds_fleet_file_what_it_extends_and_lock(site):
    local = checkout(site)
    assert local.fleet_file == "inventory/site.yml"
    assert sorted(local.files) == ["base.yml", "inventory/site.lock", "inventory/site.yml"]
    assert (local.commit, local.dirty) == (None, False)


def test_pins_authorities_and_keyrings_are_kept_too_wherever_they_lie(kept, tmp_path):
    folder, away = kept.path.parent, tmp_path / "corporate.pem"
    detour = f"{tmp_path}/repository/../corporate.pem"
    (folder / "site.known_hosts").write_text("gate1 ssh-ed25519 AAAA\n")
    (folder / "site.ca.crt").write_text("-----BEGIN CERTIFICATE-----\n")
    (folder / "apt.gpg").write_bytes(b"\x98\xff\x00")
    away.write_text("-----BEGIN CERTIFICATE-----\n")
    local = checkout(FilesOnly(kept.path, *kept.sources[1:], bundle=detour, keyring="apt.gpg"))
    assert {*local.files} - {"base.yml", "inventory/site.lock", "inventory/site.yml"} == {
        *("inventory/site.known_hosts", "inventory/site.ca.crt", "inventory/apt.gpg", f"elsewhere{away}")
    }
    assert local.dirty
    commit(folder, "the keyring")
    (folder / "site.known_hosts").write_text("gate1 ssh-ed25519 BBBB\n")
    local = checkout(FilesOnly(kept.path, *kept.sources[1:], bundle=detour, keyring="apt.gpg"))
    assert not local.dirty, "what the tool pins for the operator to commit is no work that git doesn't know"
    write_applied(LocalShell(), applied(local), folder=str(tmp_path / "var"))
    found = read_applied(LocalShell(), folder=str(tmp_path / "var"))
    assert found == applied(local)
    (folder / "apt.gpg").write_bytes(b"\x99")
    shown = difference(found, checkout(FilesOnly(kept.path, *kept.sources[1:], bundle=detour, keyring="apt.gpg")))
    assert "-binary file: 3 bytes, SHA-256 " in shown
    assert "+++ checkout/inventory/apt.gpg" in shown


def test_what_is_named_beside_the_repositorys_folder_is_the_same_for_every_operator(kept):
    folder = kept.path.parents[1]
    (folder / "pki").mkdir()
    (folder / "pki/ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    alone = FilesOnly(kept.path, bundle="../pki/ca.pem")
    commit(folder, "a CA")
    local = checkout(alone)
    assert {*local.files} == {"inventory/site.lock", "inventory/site.yml", "pki/ca.pem"}
    assert (local.fleet_file, local.dirty) == ("inventory/site.yml", False)
    assert local.contains(local.commit)


def test_the_applied_fleet_comes_back_and_replaces_the_one_before(site, tmp_path):
    folder = str(tmp_path / "var")
    assert read_applied(LocalShell(), folder=folder) is None
    write_applied(LocalShell(), applied(checkout(site)), folder=folder)
    (site.path.parent / "site.lock").unlink()
    written = applied(checkout(site))
    write_applied(LocalShell(), written, folder=folder)
    assert read_applied(LocalShell(), folder=folder) == written
    assert (tmp_path / "var/fleet/inventory/site.yml").read_text() == "fleet: acme\n"
    assert not (tmp_path / "var/fleet/inventory/site.lock").exists()
    assert (tmp_path / "var/fleet/applied.json").stat().st_mode & 0o777 == 0o600


def test_a_crash_between_the_renames_loses_nothing(site, tmp_path):
    written = applied(checkout(site))
    write_applied(LocalShell(), written, folder=str(tmp_path))
    (tmp_path / "fleet").rename(tmp_path / "fleet.old")
    assert read_applied(LocalShell(), folder=str(tmp_path)) == written


def test_a_transfer_that_was_cut_short_leaves_the_old_fleet(site, tmp_path):
    class Cut(LocalShell):
        def run(self, command, *, stdin=None, **more):
            return super().run(command, stdin=stdin and stdin[:700], **more)

    written = applied(checkout(site))
    write_applied(LocalShell(), written, folder=str(tmp_path))
    with pytest.raises(HostError, match="storing the applied fleet failed"):
        write_applied(Cut(), written, folder=str(tmp_path))
    assert read_applied(LocalShell(), folder=str(tmp_path)) == written


def test_a_newer_applied_fleet_is_refused(site, tmp_path):
    write_applied(LocalShell(), applied(checkout(site)), folder=str(tmp_path))
    about = tmp_path / "fleet/applied.json"
    about.write_text(about.read_text().replace("applied/1", "applied/2"))
    with pytest.raises(RackwrightError, match="newer rackwright"):
        read_applied(LocalShell(), folder=str(tmp_path))


def test_nothing_applied_or_the_same_files_is_no_question(kept):
    local = checkout(kept)
    assert stale_checkout(None, local) is None
    assert stale_checkout(applied(local), local) is None


def test_a_checkout_with_the_applied_commit_and_more_can_go_on(kept):
    before = applied(checkout(kept))
    kept.path.write_text("fleet: acme\ntimezone: Europe/Berlin\n")
    commit(kept.path.parent, "second")
    assert stale_checkout(before, checkout(kept)) is None


def test_a_checkout_without_the_applied_commit_is_refused(kept):
    folder = kept.path.parent
    kept.path.write_text("fleet: acme\ntimezone: Europe/Berlin\n")
    newer = commit(folder, "a colleague's")
    before = applied(checkout(kept))
    git(folder, "reset", "-q", "--hard", "HEAD~1")
    with pytest.raises(LeasedError) as caught:
        stale_checkout(before, checkout(kept))
    assert f"site.yml: this checkout lacks the commit {newer[:12]}, which ben@desk applied at 2026-11-25T04" in str(
        caught.value
    )
    assert caught.value.exit_code == 11


def test_a_commit_that_git_does_not_know_is_refused(kept):
    local = checkout(kept)
    before = applied(local)
    unknown = before.about.model_copy(update={"commit": "f" * 40})
    kept.path.write_text("fleet: other\n")
    with pytest.raises(LeasedError, match="git pull"):
        stale_checkout(type(before)(unknown, before.files), checkout(kept))


def test_uncommitted_work_that_was_applied_is_shown_as_a_difference(kept):
    kept.path.write_text("fleet: acme\ntimezone: Asia/Tokyo\n")
    before = applied(checkout(kept))
    assert before.about.dirty
    git(kept.path.parent, "checkout", "-q", ".")
    shown = stale_checkout(before, checkout(kept))
    assert "-timezone: Asia/Tokyo" in shown
    assert "+++ checkout/inventory/site.yml" in shown


def test_work_that_was_committed_after_its_apply_needs_no_question(kept):
    """The usual order: change, apply, commit; then a colleague pulls, and changes more."""
    kept.path.write_text("fleet: acme\ntimezone: Asia/Tokyo\n")
    before = applied(checkout(kept))
    commit(kept.path.parent, "Tokyo")
    kept.path.write_text("fleet: acme\ntimezone: Europe/Rome\n")
    assert stale_checkout(before, checkout(kept)) is None
    commit(kept.path.parent, "Rome")
    assert stale_checkout(before, checkout(kept)) is None


def test_keys_that_changed_in_between_do_not_matter(kept):
    keys = kept.path.with_suffix(".keys.yml")
    keys.write_text("keys: []\n")
    before = applied(checkout(kept))
    assert before.about.dirty
    keys.write_text("keys: [{id: ci}]\n")
    kept.path.write_text("fleet: acme\ntimezone: Asia/Tokyo\n")
    assert stale_checkout(before, checkout(kept)) is None
    commit(kept.path.parent, "Tokyo and a key")
    assert stale_checkout(before, checkout(kept)) is None


def test_applied_work_of_a_file_that_was_renamed_since_is_not_forgotten(kept):
    """Somebody commits a part of what they applied; a colleague renames the fleet file, with its old content."""
    folder = kept.path.parent
    old = kept.path.read_text()
    kept.path.write_text("fleet: acme\ntimezone: Asia/Tokyo\n")
    kept.path.with_suffix(".lock").write_text("another lock\n")
    before = applied(checkout(kept))
    git(folder, "add", "site.lock")
    git(folder, "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "the lock only")
    git(folder, "checkout", "-q", ".")
    git(folder, "mv", "site.yml", "prod.yml")
    git(folder, "mv", "site.lock", "prod.lock")
    assert (folder / "prod.yml").read_text() == old
    commit(folder, "another name")
    assert stale_checkout(before, checkout(FilesOnly(folder / "prod.yml"))) is not None


def test_a_commit_with_a_part_of_the_applied_work_does_not_count(kept):
    kept.path.write_text("fleet: acme\ntimezone: Asia/Tokyo\n")
    lock = kept.path.with_suffix(".lock")
    lock.write_text("another lock\n")
    before = applied(checkout(kept))
    git(kept.path.parent, "checkout", "-q", "site.lock")
    commit(kept.path.parent, "half of it")
    assert "-another lock" in stale_checkout(before, checkout(kept))


def test_without_git_the_difference_is_shown(site):
    before = applied(checkout(site))
    site.path.write_text("fleet: acme\ntimezone: Asia/Tokyo\n")
    assert "+timezone: Asia/Tokyo" in stale_checkout(before, checkout(site))


def test_a_file_that_git_ignores_counts_as_without_git(kept):
    folder = kept.path.parent
    (folder / ".gitignore").write_text("lab.yml\n")
    (folder / "lab.yml").write_text("fleet: lab\n")
    assert checkout(FilesOnly(folder / "lab.yml")).commit is None


def test_a_file_that_git_does_not_keep_yet_counts_as_without_git(kept):
    folder = kept.path.parent
    (folder / "new").mkdir()
    (folder / "new" / "lab.yml").write_text("fleet: lab\n")
    local = checkout(FilesOnly(folder / "new" / "lab.yml"))
    assert (local.commit, local.dirty) == (None, False)
    assert checkout(kept).commit


def test_a_file_beside_it_that_git_does_not_keep_is_a_change(kept):
    (kept.path.parent / "site.keys.yml").write_text("keys: {}\n")
    local = checkout(kept)
    assert (local.commit is not None, local.dirty) == (True, True)


def test_before_the_first_commit_there_is_none(site):
    git(site.path.parents[1], "init", "-q")
    git(site.path.parents[1], "add", ".")
    assert checkout(site).commit is None


def test_an_applied_fleet_that_is_damaged_is_named(site: FilesOnly, tmp_path: Path) -> None:
    with pytest.raises(RackwrightError, match="the applied fleet is damaged"):
        unpacked(b"not a tar archive", "gate1")


def test_where_there_is_no_git_nothing_is_known_of_the_checkout(
    kept: FilesOnly, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert checkout(kept).commit
    monkeypatch.setenv("PATH", "")
    assert checkout(kept).commit is None

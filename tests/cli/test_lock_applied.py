"""`lock --applied`: the lock that was applied last replaces an older one here. Hosts are folders, git is real."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from rackwright.fleet.load import load_fleet
from rackwright.fleet.lock_file import read_lock, write_lock
from rackwright.resolve.lock import resolve_lock
from rackwright.state.applied import Applied, applied_from, read_applied, write_applied
from rackwright.state.checkout import checkout
from rackwright.state.formats import utc_now
from rackwright.state.replaced_locks import following
from tests.cli.command_line import Ran, rackwright
from tests.shells import FolderHosts, FolderShell

FLEET = """
fleet: acme
hosts:
  gate1: {address: 192.0.2.9}
  gpu1: {address: 192.0.2.10}
  gpu2: {address: 192.0.2.11}
models:
  assistant:
    source: file:m.gguf
    runtime: {kind: llama_cpp, version: b1, build: "file:llama.tar.gz"}
    place: [{on: gpu1, gpus: 0}]
    names: [assistant]
    context: 4096
gateway: {on: [gate1], domain: llm.acme.internal}
firewall: {admin_from: [192.0.2.0/24], clients_from: [10.0.0.0/8]}
control: [gate1, gpu1, gpu2]
"""
CONTROL = ("gate1", "gpu1", "gpu2")


class Site:
    """A checkout in git, and the folders of three control hosts."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "checkout/acme.yml"
        self.path.parent.mkdir()
        self.path.write_text(FLEET)
        (self.path.parent / "llama.tar.gz").write_bytes(b"x")
        self.weights("GGUF")
        self.lock = self.path.with_suffix(".lock")
        self.resolve()
        self.git("init", "-q")
        self.commit("first")
        self.hosts = {}
        for name in CONTROL:
            (folder / name).mkdir()
            self.hosts[name] = FolderShell(name=name, var=str(folder / name))
        self.apply("r1")

    def weights(self, content: str) -> None:
        (self.path.parent / "m.gguf").write_text(content)

    def resolve(self, *, upgrade: bool = False) -> None:
        fleet = load_fleet(self.path)
        before = read_lock(self.lock) if self.lock.exists() else None
        lock = resolve_lock(fleet, before, upgrade=upgrade)
        # Only `lease move` makes several hosts the control hosts of a fleet.
        write_lock(self.lock, lock.model_copy(update={"control": CONTROL}))

    def git(self, *words: str) -> None:
        who = ["-c", "user.name=anna", "-c", "user.email=anna@example.org"]
        subprocess.run(["git", "-C", self.path.parent, *who, *words], check=True, capture_output=True)

    def commit(self, what: str) -> None:
        self.git("add", ".")
        self.git("commit", "-q", "-m", what)

    @property
    def applied(self) -> Applied | None:
        return read_applied(self.hosts["gpu2"])

    def apply(self, run: str, *, promotes: bool = False, hosts: tuple[str, ...] = CONTROL) -> bytes:
        """Let these control hosts keep the files here; return the lock."""
        now = applied_from(checkout(load_fleet(self.path)), who="nightly@ctl1", run=run, when=utc_now())
        following_ = following(now, self.applied, promotes=promotes)
        for name in hosts:
            write_applied(self.hosts[name], following_)
        return self.lock.read_bytes()

    def promote(self, run: str = "r2", hosts: tuple[str, ...] = CONTROL) -> bytes:
        """Let an unattended run elsewhere bring the model's new weights; the checkout stays as it was."""
        self.weights("GGUF, newer")
        self.resolve(upgrade=True)
        promoted = self.apply(run, promotes=True, hosts=hosts)
        self.git("checkout", "-q", ".")
        return promoted

    def run(self, *words: object, answers: str = "") -> Ran:
        return rackwright("-f", self.path, "lock", "--applied", *words, answers=answers)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    made = Site(tmp_path)
    monkeypatch.setattr("rackwright.remote.Remote", FolderHosts(made.hosts))
    return made


def test_the_applied_lock_is_shown_and_written_as_it_is(site: Site) -> None:
    promoted = site.promote()
    ran = site.run(answers="y\n")
    assert (ran.exit_code, site.lock.read_bytes() == promoted) == (0, True), ran.stderr
    assert "--- lock here\n+++ applied lock\n" in ran.stderr
    assert f"Write this lock to {site.lock}, applied by nightly@ctl1 at " in ran.stderr
    assert f"{site.lock} written: applied by nightly@ctl1 at " in ran.stdout
    assert "not committed: acme.lock" in ran.stderr


def test_nothing_is_written_without_an_answer(site: Site) -> None:
    site.promote()
    before = site.lock.read_bytes()
    assert site.run(answers="n\n").exit_code == 1
    assert site.run("--json").exit_code == 2
    assert site.lock.read_bytes() == before


def test_scripts_get_a_document(site: Site) -> None:
    promoted = site.promote()
    ran = site.run("--yes", "--json")
    assert (ran.document["changed"], ran.document["run"], ran.document["applied_by"]) == (True, "r2", "nightly@ctl1")
    assert site.lock.read_bytes() == promoted
    again = site.run("--yes", "--json")
    assert (again.document["changed"], again.stderr) == (False, "")


def test_the_lock_that_most_control_hosts_have_counts(site: Site) -> None:
    before = site.lock.read_bytes()
    site.promote(hosts=("gate1",))
    assert "is the applied lock" in site.run("-y").stdout
    assert site.lock.read_bytes() == before


def test_a_checkout_without_a_lock_gets_it(site: Site) -> None:
    promoted = site.promote()
    site.lock.unlink()
    assert site.run("-y").exit_code == 0
    assert site.lock.read_bytes() == promoted


def test_own_changes_that_the_applied_lock_lacks_are_named_and_kept(site: Site) -> None:
    site.promote()
    site.weights("GGUF, of this operator")
    site.resolve(upgrade=True)
    mine = site.lock.read_bytes()
    ran = site.run("-y")
    assert ran.exit_code == 10
    assert "has changes that the applied lock lacks; it would lose them\n  - model assistant\n" in ran.stderr
    assert "next: move it away, then rackwright lock --applied" in ran.stderr
    assert site.lock.read_bytes() == mine


def test_what_a_promotion_changed_is_no_change_of_the_operators(site: Site) -> None:
    """Their lock differs from a replaced one only where the applied lock has it, too."""
    promoted = site.promote()
    lock = read_lock(site.lock)
    ports = {**lock.ports, "gpu1": {"assistant@1": 8199}}
    write_lock(site.lock, lock.model_copy(update={"ports": ports}))
    ran = site.run("-y")
    assert ran.exit_code == 10
    assert "  - ports of gpu1\n" in ran.stderr
    assert "model assistant" not in ran.stderr
    assert site.lock.read_bytes() != promoted


def test_a_fleet_file_that_the_applied_lock_does_not_answer_is_refused_with_its_commit(site: Site) -> None:
    site.promote()
    before = site.lock.read_bytes()
    site.path.write_text(FLEET.replace("version: b1", "version: b2"))
    ran = site.run("-y")
    assert ran.exit_code == 10
    applied = site.applied
    assert applied
    assert applied.about.commit
    assert f"it belongs to the fleet file of commit {applied.about.commit[:12]}" in ran.stderr
    assert "runtimes.llama_cpp-b2" in ran.stderr
    assert site.lock.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"format: lock/2\n", b"format: lock/1\nmodels: 7\n", b"\xff\xfe", b"x" * 40_000_000]
)
def test_a_damaged_lock_on_the_control_hosts_is_never_written(site: Site, content: bytes) -> None:
    applied = site.applied
    assert applied
    before = site.lock.read_bytes()
    for shell in site.hosts.values():
        write_applied(shell, replace(applied, files={**applied.files, "acme.lock": content}))
    ran = site.run("-y")
    assert (ran.exit_code, site.lock.read_bytes()) == (10, before)
    assert "the applied lock, as the control hosts keep it, can't be used" in ran.stderr
    assert "/tmp" not in ran.stderr.replace(str(site.path.parent), "")


def test_a_lock_that_was_edited_on_the_control_hosts_is_refused(site: Site) -> None:
    """A control host that is not what it was must not choose another file for a model."""
    applied = site.applied
    assert applied
    wrong = applied.files["acme.lock"].replace(b"file:m.gguf", b"file:../keys.json")
    for shell in site.hosts.values():
        write_applied(shell, replace(applied, files={**applied.files, "acme.lock": wrong}))
    assert site.run("-y").exit_code == 10
    assert b"keys.json" not in site.lock.read_bytes()


def test_nothing_applied_yet_is_said(site: Site, tmp_path: Path) -> None:
    for name in CONTROL:
        subprocess.run(["rm", "-r", str(tmp_path / name / "fleet")], check=True)
    ran = site.run("-y")
    assert (ran.exit_code, "no lock was applied yet" in ran.stderr) == (1, True)


def test_a_lock_here_that_can_not_be_read_is_replaced_after_it_was_shown(site: Site) -> None:
    promoted = site.promote()
    site.lock.write_text("<<<<<<< HEAD\n")
    ran = site.run("-y")
    assert (ran.exit_code, site.lock.read_bytes() == promoted) == (0, True), ran.stderr
    assert "-<<<<<<< HEAD" in ran.stderr


def test_it_resolves_nothing(site: Site) -> None:
    assert site.run("--upgrade").exit_code == 2


def test_the_written_lock_is_no_older_one_any_more(site: Site) -> None:
    from rackwright.errors import LeasedError
    from rackwright.state.applied import stale_checkout

    site.promote()
    with pytest.raises(LeasedError, match="lock --applied"):
        stale_checkout(site.applied, checkout(load_fleet(site.path)))
    site.run("-y")
    assert stale_checkout(site.applied, checkout(load_fleet(site.path))) is None

"""Which kit is fetched, and that none is taken that isn't whole. restic is real."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rackwright.errors import HostError, ProofError, UsageError
from rackwright.fleet.x509 import new_key
from rackwright.lifecycle.backup.kit_content import CA_KEY, REFERENCES
from rackwright.lifecycle.restore import fetch_kit as module
from rackwright.lifecycle.restore import kit_files, kit_size
from rackwright.lifecycle.restore.fetch_kit import kit_at
from rackwright.state.formats import NewerFormat
from rackwright.values.secrets import Secret
from tests.lifecycle.restore.kit_vault import Operator, Vault, new_vault

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vault")
    new_vault(folder)
    return folder


@pytest.fixture
def vault(empty: Path, tmp_path: Path) -> Vault:
    shutil.copytree(empty / "rest", tmp_path / "rest")
    return Vault(tmp_path / "rest" / "kit", tmp_path / "staged")


def test_the_newest_kit_is_taken_and_lacks_nothing(vault: Vault, tmp_path: Path) -> None:
    vault.saved({"fleet/README": "old"})
    newest = vault.saved({"fleet/README": "new"})
    kit = vault.fetch(tmp_path / "here" / "acme")
    assert (kit.snapshot.id, kit.key_of, kit.folder) == (newest, kit.snapshot, tmp_path / "here" / "acme")
    assert (kit.folder / "fleet/README").read_text() == "new"
    assert stat.S_IMODE(kit.folder.stat().st_mode) == 0o700
    assert list(kit.folder.parent.iterdir()) == [kit.folder]


def test_a_newer_kit_without_the_key_is_taken_with_the_key_of_an_older_one(vault: Vault, tmp_path: Path) -> None:
    with_key = vault.saved({"fleet/README": "old"})
    vault.saved(key=new_key().reveal())
    vault.saved({"fleet/README": "new"}, key=None)
    kit = vault.fetch(tmp_path / "acme")
    assert (kit.folder / "fleet/README").read_text() == "new"
    assert kit.key_of is not None
    assert kit.key_of.id == with_key
    key = kit.folder / CA_KEY
    assert (key.read_text(), stat.S_IMODE(key.stat().st_mode)) == (vault.ca_key.reveal(), 0o600)
    assert any(line.startswith("passed over: ") and "belongs to another CA" in line for line in vault.console.said)
    assert any(
        line.startswith(f"it has no CA key; ca.key is from the kit {with_key[:8]}") for line in vault.console.said
    )


def test_without_any_key_the_kit_is_taken_and_has_none(vault: Vault, tmp_path: Path) -> None:
    vault.saved(key=None)
    kit = vault.fetch(tmp_path / "acme")
    assert kit.key_of is None
    assert not (kit.folder / CA_KEY).exists()


@pytest.mark.parametrize(
    ("bound", "most", "said"),
    [
        ("LARGEST", 20_000, "and a kit has at most 20.0 kB"),
        ("MOST_ENTRIES", 10, "files and folders, and a kit has at most 10"),
    ],
)
def test_a_kit_that_is_too_large_is_not_written_here_and_the_next_older_one_is_taken(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, most: int, said: str
) -> None:
    monkeypatch.setattr(kit_size, bound, most)
    old = vault.saved()
    newest = vault.saved({f"fleet/{number}": "x" * 1000 for number in range(30)})
    console = Operator()
    written: set[str] = set()

    def seen(folder: Path) -> None:
        written.update(path.name for path in (folder / "fleet").iterdir())
        kit_files.take_over(folder)

    monkeypatch.setattr(module, "take_over", seen)
    assert vault.fetch(tmp_path / "acme", console).snapshot.id == old
    assert written == {"acme.yml", "acme.ca.crt"}
    (line,) = (line for line in console.said if line.startswith(f"passed over: {newest[:8]} of "))
    assert said in line
    vault.restic("forget", old)
    with pytest.raises(ProofError, match="has no whole kit") as refused:
        vault.fetch(tmp_path / "other")
    assert said in str(refused.value)
    assert not (tmp_path / "other").exists()


def test_a_kit_whose_size_is_no_number_is_not_taken(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.saved()
    monkeypatch.setattr(module, "STATS", ("version",))
    with pytest.raises(HostError, match="restic's size of the kit"):
        vault.fetch(tmp_path / "acme")


def test_a_damaged_kit_is_named_and_the_next_older_one_is_taken(vault: Vault, tmp_path: Path) -> None:
    old = vault.saved({"fleet/README": "old"})
    before = vault.packs()
    newest = vault.saved({"fleet/README": "new"})
    for path in vault.packs() - before:
        path.unlink()
    assert vault.fetch(tmp_path / "acme").snapshot.id == old
    assert any(line.startswith(f"passed over: {newest[:8]} of ") for line in vault.console.said)
    for path in vault.packs():
        path.unlink()
    with pytest.raises(ProofError, match="has no whole kit") as raised:
        vault.fetch(tmp_path / "other")
    (problem,) = raised.value.problems
    assert len(problem.listed) == 2
    assert problem.next == "the same command with another --from"
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("contents", "why"),
    [
        ({"files": 9}, "has 4 files of 9"),
        ({"fleet_file": "fleet/other.yml"}, "has no fleet/other.yml"),
        ({"format": "else/1"}, "references.json is damaged"),
    ],
)
def test_an_incomplete_kit_is_passed_over(vault: Vault, tmp_path: Path, contents: dict[str, Any], why: str) -> None:
    vault.staged(**contents)
    if "files" in contents:
        (vault.work / "fleet/README").write_text("one more")
    if "format" in contents:
        (vault.work / REFERENCES).write_text("{}")
    vault.save()
    with pytest.raises(ProofError) as raised:
        vault.fetch(tmp_path / "acme")
    assert why in raised.value.problems[0].listed[0]


@pytest.mark.parametrize("name", [REFERENCES, CA_KEY, "fleet/acme.yml", "fleet"])
def test_a_link_in_place_of_what_is_read_is_refused(vault: Vault, tmp_path: Path, name: str) -> None:
    path = vault.staged({"fleet/one": "", "fleet/two": ""}) / name
    path.rename(tmp_path / "away")
    path.symlink_to(tmp_path / "away")
    if name == "fleet":
        (vault.work / "more").mkdir()
        for number in range(4):
            (vault.work / "more" / str(number)).touch()
    vault.save()
    with pytest.raises(ProofError) as raised:
        vault.fetch(tmp_path / "acme")
    assert raised.value.problems[0].listed[0].endswith(f"{name} is a link")


def test_a_key_that_is_none_is_refused(vault: Vault, tmp_path: Path) -> None:
    vault.saved(key="root:x:0:0")
    with pytest.raises(ProofError) as raised:
        vault.fetch(tmp_path / "acme")
    assert "ca.key is no CA key" in raised.value.problems[0].listed[0]


def test_a_kit_of_a_newer_rackwright_is_not_replaced_by_an_older_one(vault: Vault, tmp_path: Path) -> None:
    vault.saved()
    vault.saved(format="kit/2")
    with pytest.raises(NewerFormat):
        vault.fetch(tmp_path / "acme")


def test_kits_that_restic_can_not_list_and_kits_with_a_false_date_are_named(vault: Vault, tmp_path: Path) -> None:
    good = vault.saved()
    lost, ahead, dated = (
        vault.save(),
        vault.save("--time", "2099-01-01 00:00:00"),
        vault.save("--time", "2020-01-01 00:00:00"),
    )
    path = vault.folder / "snapshots" / lost
    path.chmod(0o600)
    *whole, last = path.read_bytes()
    path.write_bytes(bytes([*whole, last ^ 1]))
    assert vault.fetch(tmp_path / "acme").snapshot.id == good
    named = [line for line in vault.console.said if line.startswith("passed over: ")]
    assert [line.split()[2].rstrip(":") for line in named] == [lost[:8], ahead[:8], dated[:8]]
    assert "can't be read" in named[0]
    assert "is dated in the future" in named[1]
    assert "its date is false" in named[2]


def test_a_repository_without_a_kit_and_one_that_can_not_be_opened_are_named(vault: Vault, tmp_path: Path) -> None:
    with pytest.raises(ProofError, match="has no kit") as raised:
        vault.fetch(tmp_path / "acme")
    assert raised.value.problems[0].next == "the same command with another --from"
    with pytest.raises(HostError, match="wrong password"):
        module.fetch_kit(kit_at(str(vault.folder), Secret("x")), tmp_path / "acme", vault.console)
    with pytest.raises(HostError, match="there is no repository"):
        module.fetch_kit(kit_at(str(tmp_path / "none"), Secret("x")), tmp_path / "acme", vault.console)
    assert not (tmp_path / "acme").exists()


def test_it_is_put_into_the_working_directory_if_that_is_empty(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.saved()
    (tmp_path / "acme").mkdir(mode=0o755)
    monkeypatch.chdir(tmp_path / "acme")
    kit = vault.fetch(Path())
    assert kit.folder == tmp_path / "acme" == Path.cwd()
    assert kit.fleet_file.is_file()
    assert stat.S_IMODE(kit.folder.stat().st_mode) == 0o700
    with pytest.raises(UsageError, match="should be a new folder"):
        vault.fetch(Path())


def test_what_others_have_next_to_it_stays(vault: Vault, tmp_path: Path) -> None:
    vault.saved()
    others = tmp_path / "acme.partial" / "theirs"
    others.mkdir(parents=True)
    vault.fetch(tmp_path / "acme")
    assert others.exists()


def test_of_two_at_once_the_first_keeps_its_kit(vault: Vault, tmp_path: Path) -> None:
    vault.saved()
    vault.console.heard_fetching = lambda: vault.fetch(tmp_path / "acme", Operator())
    with pytest.raises(UsageError, match="should be a new folder"):
        vault.fetch(tmp_path / "acme")
    assert sorted(path.name for path in (tmp_path / "acme").iterdir()) == [CA_KEY, "fleet", REFERENCES]
    assert not list(tmp_path.glob(".acme.*"))


@needs_root
def test_its_files_are_this_users_without_setuid_bits(vault: Vault, tmp_path: Path) -> None:
    vault.staged({"fleet/run": "x", "fleet/lib/x": ""})
    (vault.work / "fleet/link").symlink_to("/etc/passwd")
    for path in (vault.work, *vault.work.rglob("*")):
        os.chown(path, 12345, 12345, follow_symlinks=False)
    (vault.work / "fleet/run").chmod(0o6755)
    (vault.work / "fleet/lib").chmod(0o2777)
    vault.save()
    owner = Path("/etc/passwd").stat().st_uid
    folder = vault.fetch(tmp_path / "acme").folder
    every = [path.lstat() for path in (folder, *folder.rglob("*"))]
    assert {(found.st_uid, found.st_gid) for found in every} == {(os.geteuid(), os.getegid())}
    assert not [found for found in every if found.st_mode & 0o7000]
    assert Path("/etc/passwd").stat().st_uid == owner


@needs_root
def test_a_device_or_a_pipe_is_refused(vault: Vault, tmp_path: Path) -> None:
    os.mkfifo(vault.staged() / "fleet" / "pipe")
    vault.save()
    with pytest.raises(ProofError) as raised:
        vault.fetch(tmp_path / "acme")
    assert "fleet/pipe is no plain file" in raised.value.problems[0].listed[0]


@pytest.fixture
def of_nobody(vault: Vault) -> Iterator[Vault]:
    """The repository in a place that another user, its owner, can reach."""
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        top.chmod(0o755)
        yield Vault(top / "rest" / "kit", vault.work)


@needs_root
def test_root_fetches_from_a_repository_of_another_user(vault: Vault, of_nobody: Vault, tmp_path: Path) -> None:
    vault.saved(key=None)
    vault.saved()
    vault.saved(key=None)
    shutil.copytree(vault.folder.parent, of_nobody.folder.parent)
    for path in (of_nobody.folder, *of_nobody.folder.rglob("*")):
        os.chown(path, 65534, 65534)
    (tmp_path / "private").mkdir(mode=0o700)
    kit = of_nobody.fetch(tmp_path / "private" / "acme")
    assert kit.key_of is not None
    assert {path.lstat().st_uid for path in (kit.folder, *kit.folder.rglob("*"))} == {0}
    assert list((tmp_path / "private").iterdir()) == [kit.folder]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("rest:https://kit:hunter2@vault:8000", "--from: the URL contains a login; pass --user and --login"),
        ("rest:https://hunter2@vault:8000/kit", "--from: the URL contains a login; pass --user and --login"),
        ("s3:https://hunter2/bucket", "--from: isn't the URL of a repository"),
        ("sftp:-oProxyCommand=hunter2:/kit", "--from: isn't the URL of a repository"),
        ("/srv/../hunter2", "--from: isn't the URL of a repository"),
        ("./hunter2", "--from: isn't the URL of a repository"),
    ],
)
def test_a_url_that_is_none_or_has_a_password_is_refused_without_showing_it(url: str, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        kit_at(url, Secret("x"))
    assert said in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_the_url_may_lack_its_last_part() -> None:
    for url in ("rest:https://vault:8000", "rest:https://vault:8000/", "rest:https://vault:8000/kit"):
        assert kit_at(url, Secret("x")).repository.url == "rest:https://vault:8000/kit"

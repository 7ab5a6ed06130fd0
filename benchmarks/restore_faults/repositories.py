"""Faults of repositories: damage at a random place, before the plan or after the operator has agreed to it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

from benchmarks.restore_faults.trial import Fault, Trial
from tests.cheap_key import empty_repository
from tests.lifecycle.backup.saved import PASSWORD
from tests.lifecycle.restore.test_faults import locked

_ANOTHER = PASSWORD[::-1]
Damage = Callable[[Random, Path], object]
_READ = r"not restored completely|can't be read|none of its repositories|not as the snapshot lists"


_GONE = f"{_READ}|gone|no repository|not on this machine"


def _some(random: Random, repository: Path, where: str) -> Path:
    path = random.choice(sorted(path for path in (repository / where).rglob("*") if path.is_file()))
    path.chmod(0o600)
    return path


def large(random: Random, repository: Path) -> Path:
    """Return a pack, a large one more often: it has more that a restore needs."""
    found = sorted(path for path in (repository / "data").rglob("*") if path.is_file())
    (path,) = random.choices(found, [path.stat().st_size for path in found])
    path.chmod(0o600)
    return path


def flip(random: Random, path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    path.write_bytes(content)


def zero(random: Random, path: Path, most: int) -> None:
    content = bytearray(path.read_bytes())
    start = random.randrange(len(content))
    end = min(len(content), start + most)
    content[start:end] = bytes(end - start)
    path.write_bytes(content)


def cut(random: Random, path: Path) -> None:
    path.write_bytes(path.read_bytes()[: random.randrange(path.stat().st_size)])


def _swap(random: Random, repository: Path) -> None:
    one, other = large(random, repository), _some(random, repository, "data")
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


def newest_snapshot(repository: Path) -> Path:
    # The copy on the server and that in the folder have the same names; the newest is the last one written.
    path = max((repository / "snapshots").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    path.chmod(0o600)
    return path


def _away(repository: Path) -> None:
    repository.rename(repository.with_name("away"))


def _emptied(repository: Path) -> None:
    """Let the repository's disk not be mounted."""
    shutil.rmtree(repository)
    repository.mkdir()


def _other_in_its_place(repository: Path) -> None:
    shutil.rmtree(repository)
    _restic(repository, "init")


def _other_key(repository: Path) -> None:
    other = repository.with_name("other")
    empty_repository(other, _ANOTHER)
    shutil.rmtree(repository / "keys")
    (other / "keys").rename(repository / "keys")


def _restic(repository: Path, *words: str) -> None:
    command = ["restic", "--no-cache", "-q", "-r", str(repository), *words]
    subprocess.run(
        command, env={"RESTIC_PASSWORD": PASSWORD, "PATH": "/usr/bin:/bin"}, check=True, capture_output=True
    )


_DAMAGE: Mapping[str, tuple[Damage, str]] = {
    "a flipped bit in a pack": (lambda random, one: flip(random, large(random, one)), _READ),
    "a flipped bit in a small pack": (lambda random, one: flip(random, _some(random, one, "data")), _READ),
    "a zeroed sector in a pack": (lambda random, one: zero(random, large(random, one), 512), _READ),
    "a zeroed pack": (lambda random, one: zero(random, large(random, one), 2**30), _READ),
    "a cut pack": (lambda random, one: cut(random, large(random, one)), _READ),
    "a missing pack": (lambda random, one: large(random, one).unlink(), _READ),
    "an empty pack": (lambda random, one: large(random, one).write_bytes(b""), _READ),
    "two packs in each other's place": (_swap, _READ),
    "a flipped bit in an index": (lambda random, one: flip(random, _some(random, one, "index")), _READ),
    "a missing index": (lambda random, one: _some(random, one, "index").unlink(), _READ),
    "a flipped bit in the newest snapshot": (lambda random, one: flip(random, newest_snapshot(one)), _READ),
    "a cut snapshot": (lambda random, one: cut(random, newest_snapshot(one)), _READ),
    "a flipped bit in the repository's config": (lambda random, one: flip(random, one / "config"), f"{_READ}|config"),
    "no config": (lambda _, one: (one / "config").unlink(), _GONE),
    "a repository that is gone": (lambda _, one: _away(one), _GONE),
    "an empty folder in its place": (lambda _, one: _emptied(one), _GONE),
    "another repository in its place": (
        lambda _, one: _other_in_its_place(one),
        "another repository|has no snapshot that fits|not restored completely|can't be read",
    ),
    "another password": (lambda _, one: _other_key(one), "wrong password"),
    "no key": (lambda _, one: shutil.rmtree(one / "keys"), "wrong password|no key|can't be read|not restored"),
    "a stale lock of another host": (lambda _, one: locked(one), "locked"),
}


def _fault(damage: Damage, says: str) -> Fault:
    def inject(trial: Trial) -> None:
        folders = [trial.bench.saved.folder(name) for name in trial.repositories()]

        def does() -> None:
            for folder in folders:
                (folder / "config").chmod(0o600)
                damage(trial.random, folder)

        trial.now_or_later(does)

    return Fault(inject, says)


def _deleted(trial: Trial) -> None:
    """Delete the newest snapshot of the first repository: nothing in it says that there was one."""
    newest_snapshot(trial.bench.saved.folder("one")).unlink()


FAULTS: Mapping[str, Fault] = {
    **{name: _fault(damage, says) for name, (damage, says) in _DAMAGE.items()},
    "the newest snapshot is deleted": Fault(_deleted, "has a newer one"),
}

"""What a kit holds, assembled in a private folder: no big file, and no secret except the CA's key."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import rackwright
from rackwright.errors import RackwrightError, SecretError
from rackwright.fleet.ca import ca_of
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.public_files import TRUSTED, WRITTEN, named_files
from rackwright.fleet.references import secret_files, secret_inodes, secret_references
from rackwright.fleet.source import FileSource, parse_source
from rackwright.lifecycle.backup.kit_history import MOST_BYTES as MOST_HISTORY
from rackwright.lifecycle.backup.kit_history import copy_history, repository_of, tracked, work_files
from rackwright.lifecycle.backup.private_folder import private_folder
from rackwright.migrate.plan.plan_file import plan_file, plans_of
from rackwright.report.words import size
from rackwright.state.checkout import ELSEWHERE, checkout, head_of
from rackwright.state.formats import utc_now
from rackwright.state.kit import KitContents, SecretPlace, golden_files, kit_digest
from rackwright.values.secrets import Secret

FLEET, CA_KEY, REFERENCES = "fleet", "ca.key", "references.json"
"""Paths inside the kit. Files outside the fleet's folder are below ELSEWHERE."""
MOST_BYTES = 64 << 20
"""The largest file that a kit takes: weights are saved by hosts, or come from a hub."""
MOST_BYTES_TOGETHER = 512 << 20
MOST_FILES = 100_000
"""Without those of the history."""
LARGEST = MOST_BYTES_TOGETHER + MOST_HISTORY + (64 << 20)
"""Bytes of a whole kit. None that is larger is fetched."""
MOST_ENTRIES = 500_000
"""Files and folders of a whole kit. None that has more is fetched."""
_NEXT = "lock.next"
_HIDDEN = "a secret"
_PLAN_SECRET = re.compile(r""":\s*(?:"file:([^"\n]+)"|'file:([^'\n]+)'|file:([^\n#,}]+))""")
"""A reference to a file with a secret, in quotes or not."""


@dataclass(frozen=True)
class Staged:
    """A kit that is ready to be saved. It is removed at the end of the block."""

    folder: Path
    contents: KitContents
    digest: str
    """What `kit_digest` returned before the files were copied."""
    no_ca_key: str | None
    """Why the CA's key isn't in it; None: it is."""

    @property
    def must(self) -> tuple[str, ...]:
        """Paths that a snapshot of it must list."""
        inside = (REFERENCES, self.contents.fleet_file, *([] if self.no_ca_key else [CA_KEY]))
        history = (f"{FLEET}/.git/HEAD",) if (self.folder / FLEET / ".git").exists() else ()
        return tuple(f"/{path}" for path in (*inside, *history))


@contextmanager
def staged_kit(fleet: Fleet, who: str) -> Iterator[Staged]:
    """Yield the fleet's kit. Raise RackwrightError if a file that defines the fleet can't be read."""
    with private_folder(room=MOST_BYTES_TOGETHER + MOST_HISTORY) as folder:
        try:
            yield _staged(fleet, who, folder)
        except OSError as error:
            raise RackwrightError(f"can't be read: {error.strerror}", where=str(error.filename)) from None


def _staged(fleet: Fleet, who: str, folder: Path) -> Staged:
    digest, commit = kit_digest(fleet), head_of(fleet.path.parent)
    inodes = secret_inodes(fleet) | _key_inodes(fleet) | _plan_inodes(fleet)
    copying = _Copying(folder, secret_files(fleet), inodes)
    fleet_file = _copy_all(fleet, copying)
    key, why = _ca_key(fleet)
    if key:
        _write(folder / CA_KEY, key.reveal())
    contents = KitContents(
        fleet=fleet.file.fleet,
        fleet_file=fleet_file,
        commit=commit,
        who=who,
        when=utc_now(),
        rackwright=rackwright.__version__,
        with_ca_key=key is not None,
        files=sum(len(names) for _, _, names in os.walk(folder)),
        left_out=tuple(copying.left_out),
        references=tuple(SecretPlace(where=at, reference=text) for at, text in secret_references(fleet).items()),
    )
    _write(folder / REFERENCES, contents.model_dump_json(indent=1) + "\n")
    return Staged(folder, contents, digest, why)


def _copy_all(fleet: Fleet, copying: _Copying) -> str:
    """Copy the fleet's folder and what it names elsewhere; return the fleet file's path in the kit."""
    found = repository_of(fleet.path.parent)
    top = found.top if found else checkout(fleet).folder
    if found:
        for name in work_files(found):
            copying.copy(found.top / name, f"{FLEET}/{name}")
        committed = sorted(tracked(found) & set(copying.secrets))
        copying.left_out += [f"{name}: but it is committed, so the kit's .git has it" for name in committed]
        if why := copy_history(found, copying.folder / FLEET / ".git"):
            copying.left_out.append(f".git: {why}")
    elif any((folder / ".git").exists() for folder in (top, *top.parents)):
        copying.left_out.append(".git: git isn't installed, or refuses this folder")
    for path in _own(fleet):
        copying.copy(path, _inside(path, top), follow=True)
    return _inside(_located(fleet.path), top)


def _own(fleet: Fleet) -> Iterator[Path]:
    """Yield the files that define the fleet, whether or not git has them."""
    paths = [fleet.path, *fleet.sources, *(fleet.sibling(suffix) for suffix in (*WRITTEN, *TRUSTED, _NEXT))]
    paths += [fleet.at(written) for written in named_files(fleet)]
    paths += [*golden_files(fleet), *_builds(fleet)]
    yield from dict.fromkeys(_located(path) for path in paths if path.exists())


def _builds(fleet: Fleet) -> Iterator[Path]:
    for model in fleet.file.models.values():
        build = parse_source(model.runtime.build) if model.runtime.build else None
        if isinstance(build, FileSource):
            yield fleet.at(build.path)


def _located(path: Path) -> Path:
    return path.parent.resolve() / path.name


def _inside(path: Path, top: Path) -> str:
    if path.is_relative_to(top):
        return f"{FLEET}/{path.relative_to(top).as_posix()}"
    return f"{ELSEWHERE}/{os.path.normpath(path).lstrip('/')}"


def _key_inodes(fleet: Fleet) -> frozenset[tuple[int, int]]:
    source = ca_of(fleet).key_file
    if source is None or not source.exists():
        return frozenset()
    return frozenset([(source.stat().st_dev, source.stat().st_ino)])


def _plan_inodes(fleet: Fleet) -> frozenset[tuple[int, int]]:
    """Return those of the files with the secrets of migration plans, also of plans that aren't valid."""
    texts = (plan_file(fleet.path, name).read_text(errors="replace") for name in plans_of(fleet.path))
    written = (one for text in texts for found in _PLAN_SECRET.findall(text) for one in found if one)
    paths = (fleet.at(one.strip()) for one in written)
    return frozenset((path.stat().st_dev, path.stat().st_ino) for path in paths if path.is_file())


def _ca_key(fleet: Fleet) -> tuple[Secret | None, str | None]:
    """Return the CA's key, or why there is none here."""
    try:
        return ca_of(fleet).private_key(), None
    except SecretError as error:
        problem = error.problems[0]
        return None, f"{problem.where}: {problem.what}"


def _write(path: Path, content: str) -> None:
    path.touch(mode=0o600)
    path.write_text(content, encoding="utf-8")


@dataclass
class _Copying:
    """Copies files into the kit, and notes which it leaves out."""

    folder: Path
    secret: re.Pattern[str]
    inodes: frozenset[tuple[int, int]]
    """Device and inode of files with secrets."""
    left_out: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    """Paths of those left out because they are secrets, relative to the top folder."""
    bytes: int = 0
    files: int = 0

    def copy(self, source: Path, inside: str, *, follow: bool = False) -> None:
        """Copy the file to this path inside the kit, if the kit may have it; skip one that is there already.

        `follow`: if it is a link, copy what it leads to.
        """
        target = self.folder / inside
        if (not source.exists() and not source.is_symlink()) or (target.exists() and not target.is_symlink()):
            return
        if why := self._unfit(source):
            self.left_out.append(f"{inside}: {why}")
            self.secrets += [inside.removeprefix(f"{FLEET}/")] if why == _HIDDEN else []
            return
        target.unlink(missing_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=follow)

    def _unfit(self, source: Path) -> str | None:
        """Return why the file stays out of the kit; None: it is counted."""
        real = source.resolve()
        found = real.stat() if real.is_file() else None
        if self.secret.fullmatch(str(real)) or (found and (found.st_dev, found.st_ino) in self.inodes):
            return _HIDDEN
        if source.is_dir() and not source.is_symlink():
            return "a repository of its own"
        if not source.is_file() and not source.is_symlink():
            return "not a file"
        length = found.st_size if found else 0
        if length > MOST_BYTES:
            return f"{size(length)}, too large"
        if self.bytes + length > MOST_BYTES_TOGETHER:
            return f"the files before it have {size(self.bytes)}, which is enough"
        if self.files >= MOST_FILES:
            return f"{self.files} files before it are enough"
        self.bytes += length
        self.files += 1
        return None

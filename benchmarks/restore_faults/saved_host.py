"""A host that real restic saved twice, to a folder or an append-only rest-server first, and to a second folder.

Its files have changed since. Each trial gets its own copy, at the same path: restic stores whole paths.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest

from rackwright.fleet.backup_access import reached_from_here
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.backup import choose as choosing
from rackwright.lifecycle.restore import in_place, procedure
from rackwright.roles.backup.settings import Repository
from rackwright.roles.model_store.settings import Settings as ModelStore
from rackwright.roles.model_store.settings import StoredModel
from rackwright.values.file import File
from tests.cheap_key import empty_repository
from tests.fleet.fleets import make_fleet
from tests.lifecycle.backup.saved import HOST, PASSWORD, Saved, constants, here
from tests.lifecycle.restore.conftest import AUDIT, HERE, KEY, OPENED
from tests.lifecycle.restore.host import STATE, Bench, Machine
from tests.rest_server import RestServer, login_of, start
from tests.state.test_golden import golden

Files = Mapping[str, str]
OLDER_BY = timedelta(minutes=50)
"""Less than the hour by which a snapshot's date may differ from the time at which it was made."""
LATE = 0.02
"""In place of 1.5 intervals, so that a snapshot which is 50 minutes older counts as clearly older."""
_DRAIN = '{"format": "drain/1", "who": "ada", "reason": "", "manual": true, "time": "2026-11-01T08:00:00Z"}'


@dataclass(frozen=True)
class SavedHost:
    folder: Path
    states: Mapping[str, Files]
    """Each good snapshot's ID → what it has of the host's state; the newest is the last."""
    model: StoredModel
    server: RestServer | None
    """None: the first repository is a folder."""

    @property
    def newest(self) -> str:
        return list(self.states)[-1]

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def store(self) -> ModelStore:
        return ModelStore(root=str(self.work / "models"), models=(self.model,))

    @property
    def weights(self) -> Path:
        return Path(self.store.folder(self.model))

    @contextmanager
    def trial(self, seed: int) -> Iterator[Bench]:
        """Yield a bench with a copy of the host."""
        shutil.copytree(self.folder / "kept", self.work)
        with self.changed(seed) as bench:
            yield bench
        shutil.rmtree(self.work)

    @contextmanager
    def changed(self, seed: int) -> Iterator[Bench]:
        """Yield a bench with the host, which has changed since it was saved, and lacks the weights."""
        with pytest.MonkeyPatch.context() as patch:
            saved = _constants(self.work, patch, self.server)
            machine = _machine(saved, self)
            here: dict[str, str | None] = {**HERE, "evidence/here": Random(seed).randbytes(50).hex()}  # noqa: S311
            machine.put({name: None for name in self.states[self.newest] if name.startswith("evidence/")})
            machine.put(here)
            shutil.rmtree(self.work / "models", ignore_errors=True)
            yield Bench(machine, chosen=self.newest, model_store=self.store)


WEIGHTS: Mapping[str, Sequence[int]] = {"a.gguf": (120_000,), "b.gguf": (3_000,)}
"""Name → bytes of its pieces. Pieces with the same number of bytes are the same."""


@contextmanager
def saved_host(
    folder: Path, *, served: bool = False, weights: Mapping[str, Sequence[int]] = WEIGHTS, cheap: bool = True
) -> Iterator[SavedHost]:
    """Save the host, and yield it. `served`: its first repository is on an append-only rest-server.

    `cheap`: the repository's key costs no time.
    """
    for name in ("work", "work/one"):
        (folder / name).mkdir(parents=True)
    server = start(folder / "work/one") if served else None
    try:
        with pytest.MonkeyPatch.context() as patch:
            made = _saved(folder, patch, server, weights, cheap=cheap)
        (folder / "work").rename(folder / "kept")
        yield made
    finally:
        if server:
            server.stop()


def _saved(
    folder: Path,
    patch: pytest.MonkeyPatch,
    server: RestServer | None,
    weights: Mapping[str, Sequence[int]],
    *,
    cheap: bool,
) -> SavedHost:
    work = folder / "work"
    here(work, patch)
    saved = _constants(work, patch, server)
    if cheap:
        empty_repository(saved.folder("one"), PASSWORD)
    else:
        saved.restic("one", "init")
    model = _weights(work, weights)
    made = SavedHost(folder, {}, model, server)
    machine = _machine(saved, made)
    states: dict[str, Files] = {}
    for number, age in enumerate((OLDER_BY, timedelta(0))):
        machine.put(_state(number))
        when = datetime.now() - age
        words = ("--tag", "rackwright", "--time", f"{when:%Y-%m-%d %H:%M:%S}")
        given = (str(saved.etc), str(saved.var), str(made.weights))
        said = saved.restic("one", "backup", "--json", "--host", HOST, *words, "--", *given)
        states[said.split('"snapshot_id":"')[1][:64]] = machine.files
    shutil.copytree(saved.folder("one"), saved.folder("two"))
    return SavedHost(folder, states, model, server)


def _state(number: int) -> Files:
    """Return the host's state at its first or second snapshot. The evidence fills most of its packs."""
    random = Random(number)  # noqa: S311
    evidence = {
        f"evidence/e{one}/journal": random.randbytes(size).hex() for one, size in enumerate((100_000, 900, 0))
    }
    return {
        "audit.log": AUDIT + f"saved {number}\n",
        f"golden/assistant/{KEY}.json": golden().model_dump_json() + "\n" * number,
        "drains/gpu1.assistant.1.8100": _DRAIN,
        "control/token": f"{7 + number}\n",
        "control/journal": OPENED,
        "control/lease": "old",
        **evidence,
    }


def _weights(work: Path, pieces: Mapping[str, Sequence[int]]) -> StoredModel:
    """Make the weights of a model, piece by piece: they may be larger than this process should get."""
    made = work / "weights"
    made.mkdir()
    files = tuple(write_pieces(made / name, sizes) for name, sizes in sorted(pieces.items()))
    listed = "".join(sorted(f"{file.sha256} {file.size} {file.path}\n" for file in files))
    model = StoredModel(name="assistant", digest=sha256(listed.encode()).hexdigest(), files=files)
    folder = Path(ModelStore(root=str(work / "models"), models=()).folder(model))
    folder.parent.mkdir(parents=True)
    made.rename(folder)
    return model


def write_pieces(path: Path, sizes: Sequence[int]) -> File:
    """Write a file of pieces of random bytes. Pieces with the same number of bytes are the same."""
    hashed = sha256()
    with path.open("wb") as stream:
        for size in sizes:
            piece = Random(size).randbytes(size)  # noqa: S311
            hashed.update(piece)
            stream.write(piece)
    return File(path=path.name, size=sum(sizes), sha256=hashed.hexdigest(), url=f"file:///{path.name}")


def _constants(work: Path, patch: pytest.MonkeyPatch, server: RestServer | None) -> Saved:
    saved = constants(work, patch)
    if server:
        saved.fleet = _served(work, server)
    patch.setattr(choosing, "OPEN_SECONDS", 3)
    for module in (choosing, procedure):
        patch.setattr(module, "LATE", LATE)
    # What a host's commands are given has its own paths: the Machine maps them to folders of this machine.
    patch.setattr(choosing, "PATHS", (str(saved.etc), STATE))
    patch.setattr(choosing, "STATE", STATE)
    patch.setattr(in_place, "adopt_restored", lambda *_: ())
    return saved


def _served(work: Path, server: RestServer) -> Fleet:
    (work / "login-gate1").write_text(login_of(HOST))
    (work / "ca.pem").write_text(server.ca)
    web = {"name": "one", "url": server.url, "user": "{host}", "append_only": True, "ca": "ca.pem"}
    web["login"] = "file:login-{host}"
    two = {"name": "two", "url": str(work / "two")}
    return make_fleet(
        work / "acme.yml", backup={"to": [one | {"password": "file:password-{host}"} for one in (web, two)]}
    )


def _machine(saved: Saved, host: SavedHost) -> Machine:
    """Return the host with the settings, and the secrets, that an apply gives it."""
    one, access = reached_from_here(saved.fleet, HOST, "one")
    machine = Machine(saved, repositories=(one, Repository(name="two", url=str(saved.folder("two")))))
    if host.server:
        (machine.run_folder / "repository").write_text(access.secret("repository", one).reveal())
        (machine.backup / "one.ca.crt").write_text(host.server.ca)
    machine.settings = machine.settings.model_copy(update={"sources": (STATE, str(host.weights))})
    return machine

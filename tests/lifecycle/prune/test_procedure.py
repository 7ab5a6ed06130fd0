"""Weights that nothing needs, found and removed by real shells in a folder on this machine."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any, Literal

import pytest

from rackwright.errors import FleetError, LeasedError, Problem, RackwrightError
from rackwright.fleet.sections.hosts import Store
from rackwright.lifecycle.prune import procedure as pruning
from rackwright.lifecycle.prune.needed import Keep, Need
from rackwright.lifecycle.prune.procedure import Pruned, prune
from rackwright.lifecycle.prune.scripts import REMOVE, Found
from rackwright.state.shell import command
from tests.shells import LocalShell

OLD, NOW, LEFT = "a" * 64, "b" * 64, "c" * 64
KEEP = Keep((Need("the lock names it", frozenset({NOW}), frozenset({"f" * 64})),))


def placed(root: Path, model: str, digest: str, marker: str | None = None) -> Path:
    """A folder in the state in which place.sh leaves it."""
    folder = root / model / digest[:16]
    (folder / "parts").mkdir(parents=True)
    for path in ("model.gguf", "parts/config.json"):
        (folder / path).write_text("weights")
        (folder / path).chmod(0o444)
    (folder / ".verified").write_text(f"{marker or digest}\n")
    for part in (folder / "parts", folder):
        part.chmod(0o555)
    return folder


def arrived(root: Path, sha256: str, suffix: str = "") -> Path:
    (root / ".incoming").mkdir(exist_ok=True)
    path = root / ".incoming" / f"{sha256}{suffix}"
    path.write_text("some of it")
    return path


class Console:
    def __init__(self, agrees: bool = True) -> None:
        self.said: list[str] = []
        self.agrees = agrees

    def say(self, text: str) -> None:
        self.said.append(text)

    def confirm(self, question: str, *, refusal: RackwrightError | None = None) -> None:
        self.said.append(question)
        if not self.agrees:
            raise RackwrightError("not confirmed, nothing was changed")


class Remote:
    def __init__(self, shells: dict[str, LocalShell]) -> None:
        self.shells = shells

    def connection(self, host: str) -> LocalShell:
        return self.shells[host]

    def run_on(self, names: Any, commands: dict[str, str], *, timeout: float) -> dict[str, object]:
        return {name: self._run(name, commands[name]) for name in names}

    def _run(self, name: str, words: str) -> object:
        try:
            return self.shells[name].run(words)
        except RackwrightError as error:
            return error

    def each(self, names: Any, work: Any) -> dict[str, object]:
        return {name: work(name) for name in names}


class Elsewhere:
    """A host's shell that has a separate folder at the path of the shared one."""

    def __init__(self, shell: LocalShell, theirs: str, own: str) -> None:
        self.shell, self.theirs, self.own = shell, theirs, own

    def run(self, words: str, **more: Any) -> object:
        return self.shell.run(words.replace(self.theirs, self.own), **more)


@pytest.fixture
def audited(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    lines: list[tuple[str, str, str]] = []

    @contextmanager
    def leased(session: object, why: str, console: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(check=lambda: None)

    def note(
        session: object, lease_session: object, hosts: tuple[str, ...], what: str, outcome: str = "done"
    ) -> None:
        lines.extend((host, what, outcome) for host in hosts)

    monkeypatch.setattr(pruning, "leased", leased)
    monkeypatch.setattr(pruning, "note_leased_act", note)
    monkeypatch.setattr(pruning, "needed", lambda session: KEEP)
    return lines


def site_of(
    *roots: Path, gone: tuple[str, ...] = (), shared: Literal["yes", "no"] = "no", idle: tuple[str, ...] = ()
) -> Any:
    """`idle`: hosts that serve no model."""
    names = {f"gpu{number + 1}": root for number, root in enumerate(roots)}
    stores = {name: Store.model_construct(path=str(root), shared=shared) for name, root in names.items()}
    hosts = {name: SimpleNamespace(store=store) for name, store in stores.items()}
    shells = {name: LocalShell(name, gone=name in gone) for name in names}
    file = SimpleNamespace(hosts=hosts)
    fleet = SimpleNamespace(file=file, hosts=tuple(names), parts_on=lambda name: () if name in idle else (name,))
    return SimpleNamespace(hosts=dict.fromkeys(names), remote=Remote(shells), fleet=fleet)


def pruned(session: Any, console: Console | None = None, **more: bool) -> Pruned:
    return prune(session, console or Console(), **more)


def test_what_nothing_needs_goes_and_the_rest_stays(tmp_path, audited):
    gone, kept = placed(tmp_path, "assistant", OLD), placed(tmp_path, "assistant", NOW)
    last = placed(tmp_path, "retired", LEFT)
    console = Console()
    done = pruned(site_of(tmp_path), console)
    assert [(one.model, one.digest) for one in done.removed["gpu1"]] == [
        ("assistant", "a" * 16),
        ("retired", "c" * 16),
    ]
    assert not gone.exists()
    assert not last.parent.exists()
    assert (kept / "parts/config.json").read_text() == "weights"
    assert audited == [("gpu1", f"removed assistant/{'a' * 16}, retired/{'c' * 16}", "done")]
    assert console.said[0].startswith(f"gpu1: assistant {'b' * 16}, ")
    assert console.said[0].endswith(" old: stays, because the lock names it")
    assert console.said[1].startswith(f"gpu1: assistant {'a' * 16}, ")
    assert console.said[1].endswith(" old: nothing needs it")
    assert console.said[-1] == "Remove 2 items?"
    assert done.bytes > 0
    again = pruned(site_of(tmp_path))
    assert (again.removed, [one.why for one in again.kept["gpu1"]]) == ({}, ["the lock names it"])


def test_a_folder_without_our_marker_is_named_and_left(tmp_path, audited):
    other, torn = placed(tmp_path, "assistant", OLD, marker=LEFT), tmp_path / "assistant" / f"{OLD[:16]}.partial"
    torn.mkdir()
    (tmp_path / "backups" / "of a\nperson").mkdir(parents=True)
    console = Console()
    done = pruned(site_of(tmp_path), console)
    assert done.removed == {}
    assert set(done.strange["gpu1"]) == {
        f"assistant/{OLD[:16]}",
        f"assistant/{OLD[:16]}.partial",
        "backups/of a?person",
    }
    assert other.exists()
    assert torn.exists()
    assert len([line for line in console.said if "isn't marked as rackwright's: it stays" in line]) == 3


def test_a_model_that_others_placed_by_our_rules_under_another_name_is_left(tmp_path, audited):
    folder = placed(tmp_path, "Assistant", OLD)
    assert pruned(site_of(tmp_path)).strange == {"gpu1": (f"Assistant/{OLD[:16]}",)}
    assert folder.exists()


@contextmanager
def running(*words: str, stdin: IO[str] | int = subprocess.PIPE) -> Iterator[None]:
    """A process that runs: it has printed a line."""
    with subprocess.Popen(words, stdin=stdin, stdout=subprocess.PIPE) as engine:
        try:
            assert engine.stdout is not None
            assert engine.stdout.readline()
            yield
        finally:
            engine.kill()


def test_what_an_engine_runs_with_stays(tmp_path, audited):
    folder = placed(tmp_path, "assistant", OLD)
    with running("sh", "-c", "echo; read -r _", "engine", "--model", str(folder / "model.gguf")):
        (kept,) = pruned(site_of(tmp_path)).kept["gpu1"]
        assert (kept.weights.digest, kept.why) == (OLD[:16], "an engine uses it")
        # It also stays if the engine was started between the look and the act.
        answer = LocalShell().run(command(REMOVE, tmp_path, f"assistant/{OLD[:16]}"))
        assert (answer.exit_status, answer.stdout) == (1, "")
        assert answer.stderr.strip() == f"assistant/{OLD[:16]}: is in use, so it stays"
    assert folder.exists()
    assert len(pruned(site_of(tmp_path)).removed["gpu1"]) == 1


def test_what_an_engine_has_mapped_stays(tmp_path, audited):
    folder = placed(tmp_path, "assistant", OLD)
    script = "import mmap, signal; held = mmap.mmap(0, 0, prot=mmap.PROT_READ); print(1, flush=True); signal.pause()"
    with (folder / "model.gguf").open() as weights, running(sys.executable, "-c", script, stdin=weights):
        assert pruned(site_of(tmp_path)).removed == {}
    assert folder.exists()


def test_files_on_their_way_go_unless_a_lock_needs_them_or_they_are_being_fetched(tmp_path, audited):
    unneeded, half, wanted = (
        arrived(tmp_path, "d" * 64, ".verified"),
        arrived(tmp_path, "e" * 64),
        arrived(tmp_path, "f" * 64),
    )
    arrived(tmp_path, "d" * 64, ".lock")
    lock = arrived(tmp_path, "e" * 64, ".lock")
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = pruned(site_of(tmp_path))
        assert [one.digest for one in done.removed["gpu1"]] == ["d" * 64]
        assert done.problems == {"gpu1": f".incoming/{'e' * 64}: is being fetched, so it stays"}
    assert not unneeded.exists()
    assert half.exists()
    assert wanted.exists()
    assert audited[0][2].startswith("failed: ")
    assert [one.digest for one in pruned(site_of(tmp_path)).removed["gpu1"]] == ["e" * 64]
    assert sorted(path.name for path in (tmp_path / ".incoming").iterdir()) == ["f" * 64]


def test_a_rehearsal_removes_nothing_and_asks_nothing(tmp_path, audited):
    folder = placed(tmp_path, "assistant", OLD)
    console = Console(agrees=False)
    assert len(pruned(site_of(tmp_path), console, rehearsed=True).removed["gpu1"]) == 1
    assert folder.exists()
    assert audited == []


def test_nothing_goes_unless_the_operator_agrees(tmp_path, audited):
    folder = placed(tmp_path, "assistant", OLD)
    with pytest.raises(RackwrightError, match="not confirmed"):
        pruned(site_of(tmp_path), Console(agrees=False))
    assert folder.exists()


def test_a_host_out_of_reach_is_named_and_the_others_are_pruned(tmp_path, audited):
    for name in ("one", "two"):
        placed(tmp_path / name, "assistant", OLD)
    done = pruned(site_of(tmp_path / "one", tmp_path / "two", gone=("gpu1",)))
    assert done.problems == {"gpu1": "unreachable"}
    assert list(done.removed) == ["gpu2"]


def test_a_host_without_weights_has_none(tmp_path, audited):
    assert pruned(site_of(tmp_path / "nothing")) == Pruned()


def test_nothing_goes_where_it_isnt_clear_what_is_needed(tmp_path, audited, monkeypatch):
    folder = placed(tmp_path, "assistant", OLD)

    def unclear(session: object) -> Keep:
        raise FleetError([Problem("site.lock.next", "is of a newer format")])

    monkeypatch.setattr(pruning, "needed", unclear)
    with pytest.raises(FleetError):
        pruned(site_of(tmp_path))
    assert folder.exists()


def test_an_interrupted_removal_is_found_again(tmp_path, audited):
    folder = placed(tmp_path, "assistant", OLD)
    folder.chmod(0o755)
    (folder / "model.gguf").unlink()
    assert len(pruned(site_of(tmp_path)).removed["gpu1"]) == 1
    assert not folder.exists()


def test_of_a_shared_folder_what_any_host_uses_stays_and_one_host_removes(tmp_path, audited, monkeypatch):
    gone, used = placed(tmp_path, "assistant", OLD), placed(tmp_path, "assistant", "5" * 64)
    session = site_of(tmp_path, tmp_path, shared="yes")
    real = pruning.parse

    def parse(output: str, root: str) -> Found:
        found = real(output, root)
        users = [replace(one, used=one.digest == "5" * 16 and bool(looked)) for one in found.weights]
        looked.append(root)
        return replace(found, weights=tuple(users))

    looked: list[str] = []
    monkeypatch.setattr(pruning, "parse", parse)
    result = pruned(session)
    assert list(result.removed) == ["gpu1"]
    assert (gone.exists(), used.exists()) == (False, True)


def test_of_a_shared_folder_one_removes_that_serves_from_it(tmp_path, audited):
    """The first host is a gateway that hasn't mounted it: the folder is empty there."""
    gone, nothing = placed(tmp_path, "assistant", OLD), tmp_path / "unmounted"
    session = site_of(tmp_path, tmp_path, shared="yes", idle=("gpu1",))
    gateway = session.remote.shells["gpu1"]
    session.remote.shells["gpu1"] = Elsewhere(gateway, str(tmp_path), str(nothing))
    assert list(pruned(session).removed) == ["gpu2"]
    assert not gone.exists()


def test_a_shared_folder_is_left_alone_while_one_of_its_hosts_is_not_looked_at(tmp_path, audited):
    kept = placed(tmp_path, "assistant", OLD)
    console = Console()
    result = pruned(site_of(tmp_path, tmp_path, shared="yes", gone=("gpu2",)), console)
    assert result.removed == {}
    assert kept.exists()
    assert console.said == [f"gpu1: {tmp_path} is shared with gpu2, which was not surveyed: all weights there stay"]


def test_of_a_shared_folder_from_which_nobody_serves_the_first_removes(tmp_path, audited):
    gone = placed(tmp_path, "assistant", OLD)
    assert list(pruned(site_of(tmp_path, tmp_path, shared="yes", idle=("gpu1", "gpu2"))).removed) == ["gpu1"]
    assert not gone.exists()


def test_what_any_of_several_locks_needs_is_needed(tmp_path, audited, monkeypatch):
    monkeypatch.setattr(
        pruning, "needed", lambda session: Keep((*KEEP.needs, Need("left", frozenset({LEFT}), frozenset())))
    )
    for digest in (OLD, NOW, LEFT):
        placed(tmp_path, "assistant", digest)
    assert [one.digest for one in pruned(site_of(tmp_path)).removed["gpu1"]] == [OLD[:16]]


def test_what_came_in_part_from_another_host_goes_when_no_lock_has_it(tmp_path, audited):
    for digest in (OLD, NOW):
        part = tmp_path / ".p2p" / digest[:16]
        part.mkdir(parents=True)
        (part / "a").write_text("half")
    (one,) = pruned(site_of(tmp_path)).removed["gpu1"]
    assert one.path == f".p2p/{OLD[:16]}"
    assert [path.name for path in (tmp_path / ".p2p").iterdir()] == [NOW[:16]]


def test_the_lease_is_checked_before_each_host_removes(tmp_path, audited, monkeypatch):
    folders = [placed(tmp_path / name, "assistant", OLD) for name in ("one", "two")]
    lost = LeasedError("this run's lease has ended")

    @contextmanager
    def leased(session: object, why: str, console: object) -> Iterator[SimpleNamespace]:
        checks = iter([None, lost])

        def check() -> None:
            if error := next(checks):
                raise error

        yield SimpleNamespace(check=check)

    monkeypatch.setattr(pruning, "leased", leased)
    with pytest.raises(LeasedError):
        pruned(site_of(tmp_path / "one", tmp_path / "two"))
    assert [folder.exists() for folder in folders] == [False, True]


def test_a_host_that_is_lost_after_the_look_is_named_and_its_weights_stay(tmp_path, audited):
    folder = placed(tmp_path, "assistant", OLD)
    session = site_of(tmp_path)

    class Leaving(Console):
        def confirm(self, question: str, *, refusal: RackwrightError | None = None) -> None:
            session.remote.shells["gpu1"].gone = True

    result = pruned(session, Leaving())
    assert (result.removed, result.problems) == ({}, {"gpu1": "unreachable"})
    assert audited == [("gpu1", "removed nothing", "failed: unreachable")]
    assert folder.exists()

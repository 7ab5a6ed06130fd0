"""Snapshots that somebody forged: what they contain beside a host's state doesn't reach the host. restic is real."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rackwright.cli.common.console import Console
from rackwright.errors import HostError, RackwrightError
from rackwright.lifecycle.backup.at import At
from rackwright.lifecycle.backup.choose import Chosen
from rackwright.lifecycle.restore.agree import agree
from rackwright.lifecycle.restore.asked import Asked
from rackwright.lifecycle.restore.plan import HostPlan, RestorePlan, parts_of
from rackwright.lifecycle.restore.staging import NotRestored
from rackwright.lifecycle.restore.weights import Weights, put_in_place
from rackwright.roles.model_store.settings import StoredModel
from rackwright.values.file import File
from tests.lifecycle.backup.answering import Answering
from tests.lifecycle.restore.conftest import HERE
from tests.lifecycle.restore.host import Bench, Machine, refused
from tests.lifecycle.restore.test_plan import BEFORE, MADE, files

ODD = ("a b", "a\nb", "*", "-rf", "$(touch x)", "a\x1b[31m", "é", "a;b", "a'b")


def plant(var: Path, secret: Path) -> None:
    """Put what no restore may bring back into a host's state."""
    for name in ODD:
        (var / "evidence" / name).write_text("odd")
    (var / "evidence/link").symlink_to(secret)
    (var / "evidence/folder").symlink_to(secret.parent)
    (var / "bench").symlink_to(secret.parent)
    os.mkfifo(var / "evidence/fifo")
    os.mknod(var / "evidence/device", 0o600 | 0o20000, os.makedev(1, 3))
    setuid = var / "evidence/setuid"
    setuid.write_text("#!/bin/sh\n")
    os.link(setuid, var / "evidence/hardlink")
    os.chown(setuid, 1000, 1000)
    setuid.chmod(0o6777)
    subprocess.run(["setcap", "cap_setuid+ep", str(setuid)], check=False)
    os.setxattr(setuid, "user.note", b"x")
    (var / "evidence").chmod(0o2777)
    for name in ("x", "gpu1.a.1", "gpu1.a.1.8100"):
        (var / "drains").mkdir(exist_ok=True)
        (var / "drains" / name).write_text(
            '{"format": "drain/1", "who": "eve", "reason": "", "manual": true, "time": "2026-11-01T08:00:00Z"}'
        )
    (var / "control/evil.json").write_text("{}")
    (var / "control/journal.before").write_text("x")


def test_links_devices_odd_names_modes_and_attributes_of_a_snapshot_do_not_reach_the_host(bench: Bench) -> None:
    secret = bench.saved.root.parent / "secrets/shadow"
    secret.parent.mkdir()
    secret.write_text("secret")
    shutil.rmtree(bench.saved.var / "golden")
    plant(bench.saved.var, secret)
    bench.saved.save("one")
    subprocess.run(["find", str(bench.saved.var), "-mindepth", "1", "-delete"], check=True)
    bench.machine.put(HERE)
    done = bench.restore()
    var = bench.saved.var
    found = [path for path in var.rglob("*") if bench.machine.restores not in path.parents]
    assert not [path for path in found if path.is_symlink() or not (path.is_file() or path.is_dir())]
    names = {str(path.relative_to(var)) for path in found}
    assert {"evidence/setuid", "evidence/hardlink", "drains/gpu1.a.1.8100"} <= names
    assert not {"drains/x", "drains/gpu1.a.1", "control/evil.json", "control/journal.before", "bench"} & names
    assert not [name for name in names for odd in ODD if name.endswith(f"/{odd}")]
    for path in (path for path in (var / "evidence").rglob("*") if path.is_file()):
        state = path.stat()
        assert (state.st_uid, state.st_gid, state.st_mode & 0o7777, state.st_nlink) == (0, 0, 0o600, 1), path
        assert os.listxattr(path) == []
    assert (var / "evidence").stat().st_mode & 0o7777 == 0o700
    assert secret.read_text() == "secret"
    assert "gate1: not restored: p evidence/fifo" in bench.console.said
    assert {"evidence/fifo", "evidence/link", "evidence/a b", "drains/x", "control/evil.json"} <= set(done.left_out)
    assert "evidence/setuid" not in done.left_out


def test_what_is_revert_shares_no_file_with_what_is_there(bench: Bench) -> None:
    bench.restore()
    with (bench.saved.var / "golden/assistant/mine.json").open("a") as stream:
        stream.write(", changed since")
    bench.undo()
    assert bench.machine.files["golden/assistant/mine.json"] == "only here"


def test_more_names_than_a_command_line_has_space_for_are_left_out(bench: Bench) -> None:
    shutil.rmtree(bench.saved.var / "golden")
    folder = bench.saved.var / "bench" / "assistant"
    folder.mkdir(parents=True)
    for number in range(1300):
        (folder / f"{'n' * 110}{number}").touch()
    bench.saved.save("one")
    subprocess.run(["rm", "-r", str(folder)], check=True)
    bench.restore()
    assert not list(folder.iterdir())
    assert bench.console.said[-1] == "gate1: not restored: 1280 more"


def test_a_snapshot_of_another_fleet_is_not_restored_even_if_its_id_is_asked_for(bench: Bench) -> None:
    bench.saved.belongs_to("other")
    bench.machine.put({"fleet/applied.json": APPLIED, "fleet/acme.yml": "fleet: other\n"})
    snapshot = bench.saved.save("one")
    bench.machine.put({"fleet/applied.json": None, "fleet/acme.yml": None})
    assert "is of the fleet other; should be of acme" in refused(bench, At(snapshot, id=snapshot))


APPLIED = '{"format": "applied/1", "fleet_file": "acme.yml", "who": "e", "run": "r", "when": "2026-11-01T08:00:00Z"}'


def doubtful() -> RestorePlan:
    chosen = SimpleNamespace(
        doubts=("is dated in the future", "is of another fleet: x, not acme"), snapshot=SimpleNamespace(id="a" * 64)
    )
    parts = parts_of(files(BEFORE, "audit.log"), {}, MADE)
    return RestorePlan((HostPlan("gate1", cast(Chosen, chosen), parts, (), ()),), None)


@pytest.mark.parametrize(("quiet", "yes"), [(False, True), (True, True), (True, False)])
def test_a_doubtful_snapshot_needs_a_person_and_yes_is_none(
    monkeypatch: pytest.MonkeyPatch, *, quiet: bool, yes: bool
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.FileIO("/dev/null")))
    with pytest.raises(RackwrightError) as error:
        agree(doubtful(), Asked(), Console(quiet=quiet, yes=yes))
    problem = error.value.problems[0]
    if yes:
        assert problem.what == "this snapshot may not be honest"
        assert problem.listed == doubtful().hosts[0].chosen.doubts


def test_without_a_terminal_the_advice_is_not_to_pass_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.FileIO("/dev/null")))
    monkeypatch.setattr(Console, "confirm", _agreed_but_for_doubts(Console.confirm))
    with pytest.raises(RackwrightError, match="this snapshot may not be honest") as error:
        agree(doubtful(), Asked(), Console(quiet=False, yes=False))
    assert "pass --yes" not in str(error.value)


def _agreed_but_for_doubts(confirm: Any) -> Any:
    """Return a console's `confirm` whose user has agreed to the plan, and is gone when asked about doubts."""
    return lambda self, question, refusal=None: refusal and confirm(self, question, refusal=refusal)


def test_a_person_is_asked_about_doubts_in_words() -> None:
    console = Answering()
    agree(doubtful(), Asked(), console)
    assert console.asked == [
        "Restore gate1?",
        "gate1: this snapshot is dated in the future; it is of another fleet: x, not acme. Restore it all the same?",
    ]


@pytest.mark.parametrize(
    ("planted", "why"),
    [
        ("", ""),
        ("printf x >$r/a.gguf", "the lock says"),
        ("rm $r/a.gguf", "the lock says"),
        ("h=$(cat $r/a.gguf); printf %s%s $h $h >$r/a.gguf", "the lock says"),
        ("mv $r/a.gguf $r/../there; ln -s $r/../there $r/a.gguf", "neither a file nor a folder"),
        ("mv $r/a.gguf $r/../there; ln -s $r/.. $r/more; mkfifo $r/fifo", "neither a file nor a folder"),
    ],
)
def test_weights_that_are_not_the_locks_files_are_removed_and_never_put_in_place(
    bench: Bench, planted: str, why: str
) -> None:
    weights = restored_weights(bench)
    bench.machine.run(f"r={weights.restored}; {planted or ':'}")
    if why:
        with pytest.raises(NotRestored, match=why):
            place(bench, weights)
        assert not Path(weights.folder).exists()
    else:
        place(bench, weights)
        assert Path(weights.folder, "a.gguf").read_text() == "c"
    assert not Path(weights.restored).exists()


def place(bench: Bench, weights: Weights) -> None:
    """Place what has been restored, with its hashes."""
    hashes, files = bench.saved.root.parent / "hashes", Path(weights.restored).rglob("*")
    lines = (f"{sha256(file.read_bytes()).hexdigest()}  {file}\n" for file in files if file.is_file())
    hashes.write_text("".join(lines))
    put_in_place(cast(Any, bench.machine), weights, str(hashes))


def test_weights_that_nothing_has_hashed_are_not_put_in_place(bench: Bench) -> None:
    weights = restored_weights(bench)
    with pytest.raises(HostError, match=r"its restore\.sh hashed nothing: it is an older version"):
        put_in_place(cast(Any, bench.machine), weights, "/nowhere")
    assert Path(weights.restored, "a.gguf").exists()


def restored_weights(bench: Bench) -> Weights:
    """Return weights as restic has restored them."""
    file = File(path="a.gguf", size=1, sha256=sha256(b"c").hexdigest(), url="file:///w")
    model = StoredModel(name="assistant", digest="d" * 64, files=(file,))
    weights = Weights(str(bench.saved.root.parent / "models"), model)
    Path(weights.restored).mkdir(parents=True)
    Path(weights.restored, "a.gguf").write_text("c")
    return weights


@pytest.mark.parametrize("program", ["chown", "ln", "mkdir", "mv", "find"])
def test_a_host_that_can_not_place_good_weights_is_no_fault_of_the_repository(bench: Bench, program: str) -> None:
    weights = restored_weights(bench)
    bench.machine.program(program, f"#!/bin/sh\necho '{program}: No space left on device' >&2; exit 1\n")
    with pytest.raises(HostError, match="putting the weights of assistant in place failed") as error:
        place(bench, weights)
    assert "No space left on device" in str(error.value)
    assert not isinstance(error.value, NotRestored), "all of it would be restored again, from the next repository"
    (bench.machine.programs / program).unlink()
    if not Path(weights.restored, "a.gguf").exists():
        Path(weights.restored, "a.gguf").write_text("c")
    place(bench, weights)
    assert Path(weights.folder, "a.gguf").read_text() == "c"


def test_a_machine_stands_for_a_host(bench: Bench) -> None:
    assert Machine(bench.saved).run("cat /var/lib/rackwright/control/token").stdout == "3\n"

"""Restored data, read and hashed again by real shells over folders on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rackwright.errors import HostError, ProofError
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.drill import data_checks as checking
from rackwright.lifecycle.drill.data_checks import Data, data_checks
from rackwright.lifecycle.drill.evidence.facts import Check, Integrity
from rackwright.lifecycle.proof.procedure import NOT_RECORDED
from rackwright.lifecycle.restore.first_hashes import first_hashes, stays
from rackwright.lifecycle.restore.in_place import Restored
from rackwright.lifecycle.restore.items import ITEMS
from rackwright.lifecycle.restore.plan import HostPlan, present_files
from rackwright.remote.completed import Completed
from rackwright.roles.model_store.settings import Settings as ModelStore
from rackwright.roles.model_store.settings import StoredModel
from rackwright.state.control import ControlRecord
from rackwright.state.formats import utc_now
from rackwright.values.file import File
from tests.fleet.fleets import make_fleet
from tests.lifecycle.drill.drills import host_plan
from tests.lifecycle.proving import Shells
from tests.lifecycle.restore.test_contents import GOOD
from tests.shells import LocalShell
from tests.state.test_golden import golden

STATE, MODELS = "/var/lib/rackwright", "/srv/models"
LOSS = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
ANSWER = f"golden/assistant/{golden().kind.key}.json"
WEIGHTS = {"m.gguf": b"weights", "empty.json": b"", "tokens/a.json": b"{}"}
MODEL = StoredModel(
    name="assistant",
    digest="d" * 64,
    files=tuple(
        File(path=path, size=len(text), sha256=sha256(text).hexdigest(), url="https://models.acme.internal/x")
        for path, text in WEIGHTS.items()
    ),
)
STORE = ModelStore(models=(MODEL,))
AUDIT = {"audit.log": "one act\n"}


@dataclass
class Host(LocalShell):
    """A host whose state and weights are below a folder of the test."""

    root: Path = Path()

    def run(self, command: str, *, stdin: str | bytes | None = None, **_: Any) -> Completed:
        told = self._here(stdin) if isinstance(stdin, str) else stdin
        done = super().run(self._here(command), stdin=told)
        return replace(done, stdout_bytes=done.stdout_bytes.replace(str(self.root).encode(), b""))

    def _here(self, text: str) -> str:
        return text.replace(STATE, f"{self.root}{STATE}").replace(MODELS, f"{self.root}{MODELS}")

    def put(self, files: dict[str, str], folder: str = STATE) -> None:
        for name, text in files.items():
            path = Path(f"{self.root}{folder}/{name}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def path(self, name: str, folder: str = STATE) -> Path:
        return Path(f"{self.root}{folder}/{name}")


@dataclass
class Restore:
    """gate1 with a control host's state and gpu1 with weights, as they are after a restore."""

    fleet: Fleet
    hosts: dict[str, Host]
    plans: dict[str, HostPlan] = field(default_factory=dict)
    restored: dict[str, Restored] = field(default_factory=dict)
    proven: Callable[[Any, Any], str | None] = lambda *_: None
    backup: Any = None
    """Of gpu1."""

    @property
    def session(self) -> Any:
        specs = {
            "gate1": SimpleNamespace(model_store=None, backup=None),
            "gpu1": SimpleNamespace(model_store=STORE, backup=self.backup),
        }
        return SimpleNamespace(fleet=self.fleet, hosts=specs, remote=Shells(cast(Any, self.hosts)))

    def saved(self) -> None:
        """Take what the hosts have now for the snapshots' content."""
        for name, host in self.hosts.items():
            self.plans[name] = host_plan(name, files=present_files(cast(Any, host), ITEMS))
            files = {one: file for one, file in self.plans[name].files.items() if stays(one)}
            hashes = first_hashes(cast(Any, host), STATE, files)
            self.restored[name] = Restored(name, "near", "5" * 64, (), (), hashes=hashes)

    def checked(self) -> Data:
        return data_checks(self.session, self.plans, self.restored, LOSS)

    def check(self, name: str, host: str = "") -> Check:
        (found,) = (one for one in self.checked().checks if (one.name, one.host) == (name, host))
        return found

    def integrity(self, host: str) -> Integrity:
        (found,) = (one for one in self.checked().integrity if one.host == host)
        return found


@pytest.fixture
def restore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Restore:
    made = Restore(
        make_fleet(tmp_path / "acme.yml"), {name: Host(name, root=tmp_path / name) for name in ("gate1", "gpu1")}
    )
    monkeypatch.setattr(checking, "prove", lambda session, replica, **_: made.proven(session, replica))
    made.hosts["gate1"].put({**GOOD, **AUDIT})
    made.hosts["gpu1"].put(AUDIT)
    folder = STORE.folder(MODEL)
    made.hosts["gpu1"].put({path: text.decode() for path, text in WEIGHTS.items()}, folder)
    made.saved()
    return made


def counts(name: str) -> bool:
    """The lease isn't restored; the record of the control hosts and the applied fleet are the drill's by now."""
    return name not in ("control/lease", "control-host.json") and not name.startswith("fleet/")


WEIGHTS_AT = STORE.folder(MODEL)


def test_what_was_restored_whole_passes(restore: Restore) -> None:
    data = restore.checked()
    outcomes = {(one.name, one.host): one.outcome for one in data.checks}
    assert outcomes == {
        **{
            (name, host): "passed"
            for name in ("hashes", "decrypts", "state is read", "weights are in the snapshot")
            for host in ("gate1", "gpu1")
        },
        ("golden answers", ""): "passed",
        ("corrupted copy refused", ""): "passed",
    }
    gate, gpu = data.integrity
    bytes_saved = sum(len(text.encode()) for name, text in {**GOOD, **AUDIT}.items() if counts(name))
    assert gate == Integrity("gate1", 8, 8, 8, bytes_saved)
    assert (gpu.expected, gpu.equal, gpu.bytes) == (4, 4, 8 + 9)
    assert all(one.failed for one in data.negative_controls)


@pytest.mark.parametrize("name", ["audit.log", ANSWER])
def test_a_file_with_one_other_byte_is_noticed_though_its_size_is_the_same(restore: Restore, name: str) -> None:
    path = restore.hosts["gate1"].path(name)
    content = path.read_bytes()
    path.write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])
    assert restore.check("hashes", "gate1").outcome == "failed"
    path.write_bytes(content + b"one more act\n" if name == "audit.log" else content)
    assert restore.check("hashes", "gate1").outcome == "passed"


def test_the_record_of_several_control_hosts_is_not_missed_in_a_drill_that_has_one(restore: Restore) -> None:
    shorter = ControlRecord(hosts=("g",), number=1, since=utc_now(), who="a").model_dump_json()
    restore.hosts["gate1"].put({"control-host.json": shorter})
    assert restore.check("hashes", "gate1").outcome == "passed"


def test_weights_that_no_source_has_must_be_in_the_snapshot(restore: Restore) -> None:
    restore.backup = SimpleNamespace(sources=(WEIGHTS_AT,))
    check = restore.check("weights are in the snapshot", "gpu1")
    assert (check.outcome, check.found) == ("failed", "not in it: assistant")
    chosen = restore.plans["gpu1"].chosen
    whole = replace(
        chosen, snapshot=chosen.snapshot.model_copy(update={"paths": ("/var/lib/rackwright", WEIGHTS_AT)})
    )
    restore.plans["gpu1"] = replace(restore.plans["gpu1"], chosen=whole)
    assert restore.check("weights are in the snapshot", "gpu1").outcome == "passed"


def test_a_host_without_such_weights_says_so(restore: Restore) -> None:
    check = restore.check("weights are in the snapshot", "gate1")
    assert (check.outcome, check.found) == ("passed", "the host has no weights that only a snapshot has")


def test_each_host_names_the_snapshot_that_was_opened(restore: Restore) -> None:
    assert restore.check("decrypts", "gpu1").found == "near opened, 55555555 decrypted"
    del restore.restored["gpu1"]
    check = restore.check("decrypts", "gpu1")
    assert (check.outcome, check.found) == ("failed", "nothing was restored")


def test_a_host_without_a_plan_has_only_its_weights(restore: Restore) -> None:
    del restore.plans["gpu1"]
    assert restore.integrity("gpu1").expected == 3


@pytest.mark.parametrize(
    ("change", "restored", "equal"),
    [
        (lambda host: host.path(ANSWER).unlink(), 7, 7),
        (lambda host: host.path(ANSWER).write_text("{"), 8, 7),
        (lambda host: host.path("audit.log").write_text("one"), 8, 7),
        (lambda host: host.path("audit.log").write_text("one act\nanother act\n"), 8, 8),
        (lambda host: host.path("control/journal").write_text(""), 8, 7),
    ],
)
def test_a_missing_or_cut_file_of_the_state_fails(
    restore: Restore, change: Callable[[Host], object], restored: int, equal: int
) -> None:
    change(restore.hosts["gate1"])
    found = restore.integrity("gate1")
    assert (found.expected, found.restored, found.equal) == (8, restored, equal)
    assert restore.check("hashes", "gate1").outcome == ("passed" if equal == 8 else "failed")


def test_what_a_restore_leaves_out_on_purpose_is_not_missing(restore: Restore) -> None:
    for name in ("control/lease", "fleet/acme.keys.yml"):
        restore.hosts["gate1"].path(name).unlink()
    assert restore.check("hashes", "gate1").outcome == "passed"
    restore.hosts["gate1"].path(ANSWER).unlink()
    restore.restored["gate1"] = replace(restore.restored["gate1"], left_out=(ANSWER,))
    check = restore.check("hashes", "gate1")
    assert (check.outcome, check.found) == ("passed", "7 of 7 files equal")


@pytest.mark.parametrize("name", [ANSWER, "control-host.json", "control/token", "fleet/applied.json"])
def test_a_damaged_file_of_the_state_is_not_read(restore: Restore, name: str) -> None:
    path = restore.hosts["gate1"].path(name)
    path.write_text("\0" + path.read_text()[1:])
    check = restore.check("state is read", "gate1")
    assert check.outcome == "failed"
    assert "damaged" in check.found or "no fencing token" in check.found
    assert restore.check("state is read", "gpu1").outcome == "passed"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda host: host.path("m.gguf", WEIGHTS_AT).write_text("weightr"), "m.gguf isn't what the lock says"),
        (lambda host: host.path("m.gguf", WEIGHTS_AT).unlink(), "m.gguf is missing or can't be read"),
        (lambda host: host.put({"other.gguf": "x"}, WEIGHTS_AT), "other.gguf isn't in the lock"),
    ],
)
def test_wrong_weights_fail(restore: Restore, change: Callable[[Host], object], said: str) -> None:
    change(restore.hosts["gpu1"])
    check = restore.check("hashes", "gpu1")
    assert check.outcome == "failed"
    assert check.found.startswith("3 of 4 files equal; ")
    assert said in check.found
    assert restore.check("hashes", "gate1").outcome == "passed"


def test_golden_answers_must_be_restored(restore: Restore) -> None:
    restore.hosts["gate1"].path(ANSWER).unlink()
    check = restore.check("golden answers")
    assert (check.outcome, check.found) == ("failed", "no golden answer was restored")


@pytest.mark.parametrize("when", [LOSS, LOSS + timedelta(minutes=1)])
def test_an_answer_that_was_recorded_after_the_loss_proves_nothing(restore: Restore, when: datetime) -> None:
    late = golden().model_copy(update={"when": when})
    restore.hosts["gate1"].path(ANSWER).write_text(late.model_dump_json())
    check = restore.check("golden answers")
    assert (check.outcome, check.found) == ("failed", f"{ANSWER}: not from before the loss")


def test_an_answer_that_can_not_be_read_proves_nothing(restore: Restore) -> None:
    restore.hosts["gate1"].path(ANSWER).write_text("{}")
    assert restore.check("golden answers").found == f"{ANSWER}: not from before the loss"


@pytest.mark.parametrize(
    ("outcome", "found"),
    [
        ("loading", "gpu1/assistant@1: loading"),
        (ProofError("another answer", where="gpu1"), "gpu1/assistant@1: another answer"),
        (HostError("unreachable", where="gpu1"), "gpu1/assistant@1: unreachable"),
    ],
)
def test_each_engine_must_give_the_recorded_answer(restore: Restore, outcome: str | Exception, found: str) -> None:
    def prove(*_: object) -> str:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    restore.proven = prove
    check = restore.check("golden answers")
    assert (check.outcome, check.found) == ("failed", found)


def test_an_engine_of_a_kind_without_a_recorded_answer_is_not_proven(
    restore: Restore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "prove", lambda session, replica, say: say(NOT_RECORDED))
    check = restore.check("golden answers")
    assert (check.outcome, check.found) == ("failed", "gpu1/assistant@1: no answer of its kind is recorded yet")


def test_without_an_engine_there_is_no_answer_to_compare(restore: Restore) -> None:
    restore.fleet = replace(restore.fleet, replicas=())
    assert restore.check("golden answers").outcome == "not run"


def test_damaged_copies_are_refused_and_removed(restore: Restore) -> None:
    controls = {one.what: one for one in restore.checked().negative_controls}
    assert set(controls) == {
        "gate1: a copy of control-host.json with another first byte",
        f"gate1: a copy of {ANSWER} with another first byte, by its hash",
        "gpu1: a copy of audit.log with another first byte, by its hash",
        "gpu1: a copy of assistant's tokens/a.json with another first byte",
    }
    assert (
        "isn't what the lock says"
        in controls["gpu1: a copy of assistant's tokens/a.json with another first byte"].found
    )
    assert not restore.hosts["gpu1"].path("copy", checking.DRILL_FOLDER).exists()
    assert restore.hosts["gpu1"].path("tokens/a.json", WEIGHTS_AT).read_bytes() == b"{}"


@pytest.mark.parametrize("first", [0, 1, 127, 128, 254, 255])
def test_a_copys_first_byte_is_another_one_whatever_it_was(restore: Restore, tmp_path: Path, first: int) -> None:
    original = tmp_path / "original"
    original.write_bytes(bytes([first]) + b"rest")
    shell = LocalShell()
    shell.run(f"set -- '{original}' '{tmp_path}/copy'\n{checking._DAMAGE}").check("damaging")
    assert (tmp_path / "copy/damaged").read_bytes() == bytes([(first + 1) % 256]) + b"rest"
    assert (tmp_path / "copy/damaged").stat().st_mode & 0o777 == 0o600


def test_a_copy_that_is_accepted_means_that_the_checks_prove_nothing(
    restore: Restore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "_DAMAGE", 'mkdir -p -- "$2" && cp -- "$1" "$2/damaged"\n')
    data = restore.checked()
    weights = next(one for one in data.negative_controls if "of assistant" in one.what)
    assert (weights.failed, weights.found) == (False, "the same sha256")
    assert not any(one.failed for one in data.negative_controls if one.what.endswith("by its hash"))
    assert next(one for one in data.checks if one.name == "corrupted copy refused").outcome == "failed"


def test_a_parser_that_accepts_everything_means_that_the_checks_prove_nothing(
    restore: Restore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "read_contents", lambda *_: SimpleNamespace(problems=()))
    data = restore.checked()
    state = next(one for one in data.negative_controls if one.what.startswith("gate1"))
    assert (state.failed, state.found) == (False, "accepted")
    assert next(one for one in data.checks if one.name == "corrupted copy refused").outcome == "failed"


def test_without_any_copy_nothing_is_proven(restore: Restore) -> None:
    for name in GOOD:
        restore.hosts["gate1"].path(name).unlink()
    session = restore.session
    session.hosts = {"gate1": session.hosts["gate1"]}
    data = data_checks(session, {}, {}, LOSS)
    assert data.negative_controls == ()
    assert next(one for one in data.checks if one.name == "corrupted copy refused").outcome == "failed"


def test_weights_of_which_no_copy_can_be_made_are_no_negative_control(
    restore: Restore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "_DAMAGE", "echo no space >&2; exit 1\n")
    controls = [one for one in restore.checked().negative_controls if one.what.startswith("gpu1")]
    assert [(one.failed, one.found) for one in controls] == [(False, "no copy: no space")] * 2


@pytest.mark.parametrize("kept", ["control/token", ANSWER, "fleet/applied.json"])
def test_a_file_that_no_parser_reads_is_not_damaged_in_place_of_one(restore: Restore, kept: str) -> None:
    gate = restore.hosts["gate1"]
    for name in GOOD:
        if name not in (kept, "control/lease") and not (name.startswith("fleet/") and kept.startswith("fleet/")):
            gate.path(name).unlink()
    gate.put({"bench/README": "x", "control/a": "no parser reads it", "control/journal": GOOD["control/journal"]})
    if kept.startswith("fleet/"):
        gate.put({"fleet/a.txt": "no parser reads it"})
    control = next(one for one in restore.checked().negative_controls if one.what.startswith("gate1"))
    assert control.failed, control


def test_a_host_that_can_not_be_asked_stops_the_checks(restore: Restore) -> None:
    restore.hosts["gpu1"].gone = True
    with pytest.raises(HostError, match="unreachable"):
        restore.checked()

"""Snapshots that are forged or broken, clocks that are wrong, and what an operator must not get by asking for it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.restore_faults.trial import Fault, Trial
from rackwright.lifecycle.backup.at import At
from tests.lifecycle.restore.conftest import KEY
from tests.lifecycle.restore.test_hostile import APPLIED

GOLDEN = f"golden/assistant/{KEY}.json"
_DAY = timedelta(days=1)


def _saved(trial: Trial, *words: str, author: str = "gate1", tag: str = "rackwright", paths: int = 3) -> str:
    """Save the host as it is now to both repositories, or one; return the snapshot's ID."""
    saved = trial.bench.saved
    given = [
        str(path) for path in (saved.etc, saved.var, *([trial.host.weights] if trial.host.weights.exists() else []))
    ]
    made = [
        saved.restic(name, "backup", "--json", "--host", author, "--tag", tag, *words, "--", *given[:paths])
        for name in trial.repositories()
    ]
    return made[0].split('"snapshot_id":"')[1][:64]


def _dated(when: datetime) -> tuple[str, str]:
    return "--time", f"{when:%Y-%m-%d %H:%M:%S}"


def _forged(make: Callable[[Trial], str]) -> Callable[[Trial], object]:
    """Save a forged state as the newest; the operator names it by its ID in a third of the trials."""

    def inject(trial: Trial) -> None:
        machine, own = trial.bench.machine, trial.bench.machine.files
        machine.put({"evidence/e0/journal": "forged", "audit.log": "forged\n"})
        made = make(trial)
        machine.put({name: own.get(name) for name in machine.files | own})
        if trial.random.random() < 0.33:
            trial.at = At(made, id=made)

    return inject


def _of_another_fleet(trial: Trial) -> str:
    trial.bench.saved.belongs_to("other")
    try:
        return _saved(trial)
    finally:
        trial.bench.saved.belongs_to("acme")


FORGED: Mapping[str, Fault] = {
    "a snapshot by another host": Fault(
        _forged(lambda trial: _saved(trial, author="gpu1")), "may be forged|not be honest"
    ),
    "a snapshot without the tag": Fault(_forged(lambda trial: _saved(trial, tag="other")), "lacks the tag"),
    "a snapshot without the state": Fault(
        _forged(lambda trial: _saved(trial, paths=1)), "doesn't contain|no audit log"
    ),
    "a snapshot of the future": Fault(
        _forged(lambda trial: _saved(trial, *_dated(datetime.now() + trial.random.randrange(1, 900) * _DAY))),
        "the future",
    ),
    "a snapshot with a false date": Fault(
        _forged(lambda trial: _saved(trial, *_dated(datetime.now() - trial.random.randrange(1, 900) * _DAY))),
        "date is false|was made at",
    ),
    "a snapshot of another fleet": Fault(_forged(_of_another_fleet), "of another fleet"),
}


def _broken(change: Callable[[Trial, Path], object]) -> Callable[[Trial], object]:
    """Save the host as its own timer would, with a state that is broken."""

    def inject(trial: Trial) -> None:
        var, kept = trial.bench.saved.var, trial.bench.saved.root.parent / "own"
        shutil.copytree(var, kept)
        state = trial.host.states[trial.host.newest]
        trial.bench.machine.put(state)
        change(trial, var)
        # A timer makes no snapshot of a host whose weights are gone.
        shutil.copytree(trial.host.folder / "kept/models", trial.host.work / "models")
        trial.expected = _saved(trial)
        shutil.rmtree(trial.host.work / "models")
        if (var / "golden").is_symlink():
            # Left out and named: the rest of this state is good.
            trial.more[trial.expected] = {
                name: text for name, text in state.items() if not name.startswith("golden/")
            }
        shutil.rmtree(var)
        kept.rename(var)

    return inject


def _text(name: str, text: str) -> Callable[[Trial, Path], object]:
    return lambda trial, _: trial.bench.machine.put({name: text})


def _cut(trial: Trial, var: Path) -> None:
    path = var / trial.random.choice((GOLDEN, "drains/gpu1.assistant.1.8100"))
    path.write_text(path.read_text()[: trial.random.randrange(1, 60)])


def _journal(trial: Trial, var: Path) -> None:
    path = var / "control/journal"
    path.write_text(path.read_text()[: trial.random.randrange(1, 60)] + "\n" + path.read_text())


def _link(trial: Trial, var: Path) -> None:
    """Put a link in the place of a part, or of a file in it."""
    name = trial.random.choice(("golden", "audit.log"))
    (var / name).rename(var / "away")
    (var / name).symlink_to("/etc")


def _folder(_: Trial, var: Path) -> None:
    (var / "audit.log").unlink()
    (var / "audit.log").mkdir()
    (var / "audit.log/x").touch()


def _newer(_: Trial, var: Path) -> None:
    path = var / GOLDEN
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": "golden/99"}))


_NOT_OURS = "isn't what rackwright saves"
BROKEN: Mapping[str, Fault] = {
    "a state that is cut": Fault(_broken(_cut), _NOT_OURS),
    "a journal that is damaged": Fault(_broken(_journal), _NOT_OURS),
    "a state of a newer rackwright": Fault(_broken(_newer), _NOT_OURS),
    "a token that is none": Fault(_broken(_text("control/token", "9" * 30)), _NOT_OURS),
    "a state without an audit log": Fault(_broken(lambda _, var: (var / "audit.log").unlink()), "no audit log"),
    "a link in the place of a part": Fault(_broken(_link), f"{_NOT_OURS}|no audit log|not restored: l"),
    "a folder in the place of a file": Fault(_broken(_folder), _NOT_OURS),
    "an applied fleet of another name": Fault(
        _broken(
            lambda trial, _: trial.bench.machine.put(
                {"fleet/applied.json": APPLIED, "fleet/acme.yml": "fleet: other\n"}
            )
        ),
        "is of the fleet other",
    ),
}


def _clock(trial: Trial) -> None:
    """Let the host's clock be a day ahead of this machine's; its snapshots are then of the future."""
    tomorrow = datetime.now() + _DAY
    _saved(trial, *_dated(tomorrow))
    trial.bench.machine.program("date", f"#!/bin/sh\necho {int(tomorrow.timestamp())}\n")


def _too_early(trial: Trial) -> None:
    until = datetime.now(UTC) - timedelta(days=trial.random.randrange(1, 900))
    trial.at = At("then", until=until)


def _unknown(trial: Trial) -> None:
    unknown = trial.random.randbytes(4).hex()
    trial.at = At(unknown, id=unknown)


def _several(trial: Trial) -> None:
    """Ask for an ID that two snapshots begin with: they are saved until two do."""
    ids = list(trial.host.states)
    while not (same := next((one for one in ids if sum(other[0] == one[0] for other in ids) > 1), None)):
        ids.append(trial.bench.saved.save("one"))
    trial.at = At(same[0], id=same[0])


def _serves(trial: Trial) -> None:
    unit = trial.random.choice(("rackwright-gateway.service", "rackwright-assistant@1.service"))
    own = (trial.bench.machine.programs / "systemctl").read_text()
    text = own.replace("#!/bin/sh\n", f'#!/bin/sh\n[ "$1" != list-units ] || echo "{unit} loaded active"\n')
    trial.bench.machine.program("systemctl", text)


ASKED: Mapping[str, Fault] = {
    "a clock that is a day off": Fault(_clock, "clock and this machine's are"),
    "--at before the first snapshot": Fault(_too_early, "has no snapshot from"),
    "--at with an unknown ID": Fault(_unknown, "has no snapshot"),
    "--at with an ID of several snapshots": Fault(_several, "snapshots begin like this"),
    "a host that serves": Fault(_serves, "this host serves now"),
}

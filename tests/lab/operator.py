"""An operator at the command line, with a fleet of lab hosts in its own folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rackwright.lab import artefacts, fleet_file
from rackwright.lab.artefacts import Artefacts
from rackwright.lab.hosts import LabFleet
from tests.times.recorder import spent

_GROUPS = ("model", "rollout", "runtime")


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Operator:
    path: Path
    """The fleet file."""

    def __call__(self, *words: str, check: int | None = 0, timeout: float = 300) -> Said:
        with spent(f"rackwright {' '.join(words[: 2 if words[0] in _GROUPS else 1])}"):
            done = subprocess.run(
                self.argv(*words), capture_output=True, text=True, timeout=timeout, env=self.environment
            )
        assert check is None or done.returncode == check, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return Said(done.returncode, done.stdout, done.stderr)

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.argv(*words),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
            preexec_fn=_at_a_terminal,
        )

    def argv(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "rackwright", "-f", str(self.path), *words]

    @property
    def environment(self) -> dict[str, str]:
        home = self.path.parent
        return os.environ | {"XDG_CONFIG_HOME": str(home / "config"), "XDG_CACHE_HOME": str(home / "cache")}

    def edit(self, old: str, new: str) -> None:
        """Edit the fleet file and lock it again."""
        text = self.path.read_text()
        assert old in text
        self.path.write_text(text.replace(old, new))
        self("lock")

    def replicas(self) -> dict[str, dict[str, Any]]:
        return {entry["replica"]: entry for entry in self("status", "--json", check=None).json["replicas"]}


def operator(folder: Path, fleet: LabFleet, served: Artefacts | None = None) -> Operator:
    """Write and lock the fleet file of running lab hosts, with short rollout times.

    `served`: a model and a runtime in place of the lab's real ones.
    """
    path = folder / "test.yml"
    fleet_file.write(path, fleet, served or artefacts.ensure(lambda _: None))
    (fleet.key.parent / "written").unlink()
    made = Operator(path)
    made("lock")
    return made


def read_until(process: subprocess.Popen[str], text: str) -> None:
    """Read what a started command prints, up to the line with this text. Fail if it ends without it."""
    assert process.stdout is not None
    if not any(text in line for line in process.stdout):
        pytest.fail(f"it ended without {text!r}")


def _at_a_terminal() -> None:
    # If a shell runs the suite in the background, it ignores Ctrl-C, and so would every command that it starts.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

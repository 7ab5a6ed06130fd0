"""A host that is restored without a host: its scripts, real sh and real restic, in folders of this machine.

systemd alone has stand-ins: `systemd-run` runs the unit's command until it ends.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from rackwright.errors import HostError
from rackwright.lifecycle.backup.at import NEWEST, At
from rackwright.lifecycle.backup.reader import Reader, readers
from rackwright.lifecycle.restore import procedure
from rackwright.lifecycle.restore.asked import WHAT, Asked
from rackwright.lifecycle.restore.in_place import Restored
from rackwright.lifecycle.restore.plan import HostPlan
from rackwright.lifecycle.session.session import Session
from rackwright.remote.completed import Completed
from rackwright.roles.backup import scripts
from rackwright.roles.backup.settings import FOLDER, Repository, Settings
from rackwright.state.formats import utc_now
from rackwright.state.journal import Entry, Event, parse_journal
from tests.lifecycle.backup.answering import Answering
from tests.lifecycle.backup.saved import HOST, PASSWORD, Saved

STATE = "/var/lib/rackwright"
_SYSTEMD_RUN = """#!/bin/sh
while [ "$1" != /bin/sh ]; do shift; done
"$@" 2>>"$RUNTIME_DIRECTORY/log" || true
"""
_SYSTEMCTL = """#!/bin/sh
case "$1 $3" in "show ActiveState") echo inactive ;; is-active*) exit 3 ;; esac
"""


class Killed(Exception):
    """The controller was killed."""


@dataclass
class Machine:
    """Runs commands as the host would, with its paths below a folder."""

    saved: Saved
    name: str = HOST
    kill_at: int | None = None
    """The controller dies before this command of the restore."""
    repositories: tuple[Repository, ...] = ()
    """Of the host; none given: the folders `one` and `two`."""
    commands: list[str] = field(default_factory=list)
    settings: Settings = field(init=False)

    def __post_init__(self) -> None:
        self.run_folder = self.saved.root.parent / "run"
        self.programs = self.saved.root.parent / "programs"
        for folder in (self.run_folder, self.programs, self.backup):
            folder.mkdir(parents=True, exist_ok=True)
        self.program("systemd-run", _SYSTEMD_RUN)
        self.program("systemctl", _SYSTEMCTL)
        (self.run_folder / "password").write_text(PASSWORD)
        folders = (Repository(name=name, url=str(self.saved.folder(name))) for name in ("one", "two"))
        places = self.repositories or tuple(folders)
        self.settings = Settings(host=HOST, repositories=places, sources=(STATE,), must=())
        for path, text in scripts.FIXED.items():
            (self.backup / Path(path).name).write_text(self.here(text).replace("patience=30s", "patience=1s"))
        for place in places:
            (self.backup / f"{place.name}.values").write_text(self.here(scripts.values(self.settings, place)))

    @property
    def backup(self) -> Path:
        return self.saved.root.parent / "etc-backup"

    def program(self, name: str, text: str) -> None:
        """Let the host run this text instead of the program of this name."""
        (self.programs / name).write_text(text)
        (self.programs / name).chmod(0o755)

    def here(self, text: str) -> str:
        """Return the text with the host's paths as they are on this machine."""
        text = re.sub(f"(?<!{re.escape(str(self.saved.root))}){STATE}", str(self.saved.var), text)
        return text.replace(FOLDER, str(self.backup)).replace("/run/rackwright-backup", str(self.run_folder))

    @property
    def environment(self) -> dict[str, str]:
        places = dict.fromkeys(("RUNTIME_DIRECTORY", "CREDENTIALS_DIRECTORY"), str(self.run_folder))
        cache = {"CACHE_DIRECTORY": str(self.run_folder / "cache")}
        return {**os.environ, **places, **cache, "PATH": f"{self.programs}:{os.environ['PATH']}"}

    def run(self, command: str, *, stdin: str | bytes | None = None, **_: object) -> Completed:
        if self.kill_at is not None and len(self.commands) >= self.kill_at:
            raise Killed
        self.commands.append(command)
        given = self.here(stdin).encode() if isinstance(stdin, str) else stdin or b""
        words = ["sh", "-c", self.here(command)]
        done = subprocess.run(words, input=given, capture_output=True, env=self.environment, check=False)
        return Completed(done.returncode, done.stdout, done.stderr, self.name)

    def open(self) -> None: ...

    @property
    def restores(self) -> Path:
        return self.saved.var / "restore"

    @property
    def files(self) -> dict[str, str]:
        """The host's state: texts by path, without what a restore keeps and locks."""
        var = self.saved.var
        found = (path for path in var.rglob("*") if path.is_file() and self.restores not in path.parents)
        return {
            str(path.relative_to(var)): path.read_text(errors="replace")
            for path in found
            if not path.name.endswith("lock")
        }

    def put(self, files: Mapping[str, str | None]) -> None:
        """Write these files of the host's state, or remove them."""
        for name, text in files.items():
            path = self.saved.var / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True) if text is None else path.write_text(text)


@dataclass
class _MappedShell:
    """Runs the reader's restic, which knows the host's files by their paths on this machine."""

    shell: Any
    machine: Machine

    def run(self, command: str, **options: Any) -> Completed:
        done = self.shell.run(self.machine.here(command), **options)
        output = done.stdout_bytes.replace(str(self.machine.saved.var).encode(), STATE.encode())
        return Completed(done.exit_status, output, done.stderr_bytes, HOST)

    def pipe(self, command: str) -> Any:
        return self.shell.pipe(f"({self.machine.here(command)}) | sed 's|{self.machine.saved.var}|{STATE}|g'")


@dataclass
class _Lease:
    machine: Machine
    answers: Callable[[], None]
    run: str = "r9"
    lease: Any = field(default_factory=lambda: SimpleNamespace(owner=SimpleNamespace(who="ada", why="restore")))

    def check(self) -> None:
        self.answers()

    def write(self, event: Event, rollout: str, *, detail: str) -> None:
        self.machine.run("true # writing the journal")
        entry = Entry(time=utc_now(), rollout=rollout, run="r9", operator="ada", event=event, detail=detail)
        with (self.machine.saved.var / "control/journal").open("a") as stream:
            stream.write(entry.line())


@dataclass
class Bench:
    """Everything for a restore of the machine."""

    machine: Machine
    console: Answering = field(default_factory=Answering)
    check: Callable[[], None] = lambda: None
    """What the lease answers."""
    chosen: str = ""
    """The snapshot that the site has."""
    model_store: Any = None
    """Its settings, if the host has weights."""

    @property
    def saved(self) -> Saved:
        return self.machine.saved

    @property
    def session(self) -> Session:
        machine = self.machine
        journal = self.saved.var / "control/journal"
        remote = SimpleNamespace(
            connection=lambda _: machine,
            each=lambda names, work: {name: work(name) for name in names},
            run_on=lambda names, command: {name: machine.run(command) for name in names},
        )
        return cast(
            Session,
            SimpleNamespace(
                hosts={HOST: SimpleNamespace(backup=machine.settings, model_store=self.model_store)},
                remote=remote,
                fleet=self.saved.fleet,
                store=SimpleNamespace(
                    entries=lambda: parse_journal(journal.read_text() if journal.exists() else "", HOST)
                ),
                operator=SimpleNamespace(who="ada"),
            ),
        )

    @contextmanager
    def ways(self) -> Iterator[tuple[Reader, ...]]:
        with readers(self.saved.fleet, HOST, None) as ways:
            yield tuple(replace(way, shell=_MappedShell(way.shell, self.machine)) for way in ways)

    def plan(self, ways: Sequence[Reader], at: At = NEWEST) -> HostPlan:
        return procedure._planned(self.session, HOST, tuple(ways), Asked(at=at))

    def restore(
        self,
        at: At = NEWEST,
        *,
        shown: Callable[[HostPlan], object] = lambda _: None,
        agreed: Callable[[], object] = lambda: None,
        what: tuple[str, ...] = WHAT,
    ) -> Restored:
        """Restore the host; `shown` gets the plan, `agreed` happens between it and its execution."""
        with self.ways() as ways:
            plan = procedure._planned(self.session, HOST, ways, Asked(what, at))
            shown(plan)
            agreed()
            work = procedure._Work(
                self.session,
                cast(Any, _Lease(self.machine, self.check)),
                Asked(what, at),
                self.console,
                lambda: False,
                {HOST: ways},
            )
            return work.restored(plan)

    def undo(self) -> Sequence[str]:
        from rackwright.roles.backup.settings import RESTORES
        from rackwright.state.switch_in import revert, settle

        settle(self.machine, RESTORES)
        return revert(self.machine, f"{RESTORES}/before", f"{RESTORES}/undone")


def refused(bench: Bench, at: At = NEWEST, **options: Any) -> str:
    """Try to restore, and return the errors; the host's state must stay as it is, the audit log apart."""
    before = bench.machine.files
    try:
        done = bench.restore(at, **options)
    except HostError as error:
        said = str(error)
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
    else:
        raise AssertionError(f"a false success: {done}")
    after = bench.machine.files
    assert {name: text for name, text in after.items() if name != "audit.log"} == {
        name: text for name, text in before.items() if name != "audit.log"
    }
    assert after["audit.log"].startswith(before["audit.log"])
    return said

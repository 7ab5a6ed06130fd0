"""Connections to simulated hosts: they understand what the tool sends, and nothing else."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from rackwright.errors import HostError, together
from rackwright.lifecycle.reboot.boot_identity import BOOT_COMMAND
from rackwright.lifecycle.reboot.pending import COMMAND as PENDING_COMMAND
from rackwright.remote.completed import CommandTimeout, Completed
from rackwright.roles.boot.settings import SCRIPT as ONE_BOOT
from rackwright.roles.patch.packages import Step
from rackwright.roles.patch.settings import RUNS
from rackwright.roles.replica.state import COMMAND as REPLICAS_COMMAND
from rackwright.state import control
from tests.lifecycle.world.engines import Engine, Host, digest
from tests.lifecycle.world.software import Refused
from tests.lifecycle.world.world import Clock, Gate, Process, World

Result = TypeVar("Result")
split = cache(shlex.split)
_PATCHES = re.compile(rf" (prepare|start|look) {RUNS}/([0-9A-Za-z-]+)(?: \S+ (\S+))?")
"""A command of roles/patch/packages.py: what it does, the run, the step."""
_NO_FOLDER = 1


@dataclass(frozen=True)
class SimulatedRemote:
    world: World
    process: Process

    def __enter__(self) -> SimulatedRemote:
        return self

    def __exit__(self, *_: object) -> None: ...

    def connection(self, name: str) -> SimulatedConnection:
        return SimulatedConnection(self.world, self.process, name)

    def run_on(self, names: Iterable[str], command: str, *, timeout: float = 60) -> dict[str, Completed | HostError]:
        def run(name: str) -> Completed | HostError:
            try:
                return self.connection(name).run(command)
            except HostError as error:
                return error

        return self.each(names, run)

    def each(self, names: Iterable[str], work: Callable[[str], Result]) -> dict[str, Result]:
        """Do what the real one does: all finish, then the failures are raised."""
        done: dict[str, Result] = {}
        failed: list[Exception] = []
        for name in dict.fromkeys(names):
            try:
                done[name] = work(name)
            except Exception as error:
                failed.append(error)
        if failed:
            raise together(failed)
        return done


@dataclass(frozen=True)
class SimulatedConnection:
    world: World
    process: Process
    name: str

    def close(self) -> None: ...

    def open(self) -> None:
        self.process.breathe()
        gate = self.world.gates.get(self.name)
        if gate and gate.lost:
            raise HostError("unreachable", where=self.name)

    def run(
        self, command: str, *, stdin: str | bytes | None = None, sudo: bool = True, timeout: float | None = 60
    ) -> Completed:
        self.process.give_way()
        if gate := self.world.gates.get(self.name):
            self.open()
            return self._said(_record(gate, command, stdin))
        host = self.world.reach(self.name, self.process)
        if command == REPLICAS_COMMAND:
            return self._said("".join(_told(engine, self.world.now) for engine in host.engines.values()))
        if "audit.log" in command or control.NAME in command or command == "true":
            return self._said()
        if command == BOOT_COMMAND:
            return self._said(_boot(host))
        if command == PENDING_COMMAND:
            return self._said(f"{host.loaded}\nnone\n")
        if command.startswith("systemctl is-system-running"):
            return self._said()
        if ONE_BOOT in command:
            return self._one_boot(host, command.rpartition(f"{ONE_BOOT} ")[2].split())
        if "/boot/vmlinuz-*" in command:
            return self._said(host.software.kernels[-1])
        if "/run/reboot-required" in command:
            return self._said("yes" if host.software.wants_reboot else "")
        if patching := _PATCHES.search(command):
            return self._patch(host, *patching.groups(), stdin=stdin)
        words = split(command)
        if host.slow in words:
            host.late, host.slow = (words, stdin), None
            raise CommandTimeout("a command didn't finish within 60 s", where=self.name)
        done = self._act(host, words, stdin)
        if host.late and "revert" in words:
            self._act(host, *host.late)
        return done

    def _act(self, host: Host, words: list[str], stdin: str | bytes | None) -> Completed:
        match words:
            case ["sh", "-c", _, "begin", acts, act]:
                host.engines[_name(acts)].act = act
                return self._said()
            case ["sh", "-c", _, _, acts, act, *_] if host.engines[_name(acts)].act != act:
                return self._failed("a later change of this engine has started")
            case ["sh", "-c", _, "take", _, _, unit, before, started]:
                assert before.endswith(_name(unit)) or started
                return self._take(host, _name(unit), stdin)
            case ["sh", "-c", _, "revert", _, _, unit, _, new]:
                return self._revert(host, _name(unit), new)
            case ["sh", "-c", _, "restart", _, _, unit]:
                self.world.restart(host, _name(unit))
                self._note(f"restart {unit}")
                return self._said()
            case ["sh", "-c", script, "reboot", boot] if "systemctl reboot" in script:
                return self._reboot(host, boot)
            case ["probe", name]:
                return self._said("ready" if host.engines[name].answers(self.world.now) else "loading")
            case ["printf", _, told, "|", "socat", *_]:
                assert told.startswith("set server engine."), told
                return self._said()
            case ["journalctl", *_]:
                return self._said("the weights are broken\n")
        raise AssertionError(f"unknown command: {words}")

    def _reboot(self, host: Host, boot: str) -> Completed:
        if boot != _boot(host).strip():
            return Completed(75, b"", b"", self.name)
        self.world.refuse_serving(host)
        self.world.refuse_away(host)
        self.world.watch.rebooted(host)
        host.reboot(self.world.now)
        self._note("reboot")
        return self._said()

    def _one_boot(self, host: Host, words: list[str]) -> Completed:
        try:
            said = host.software.one_boot(words, host.boots)
        except Refused as error:
            return self._failed(str(error))
        if words != ["look"]:
            self._note(f"one-boot {' '.join(words)}")
        return self._said(said)

    def _patch(self, host: Host, verb: str, run: str, step: str, *, stdin: str | bytes | None) -> Completed:
        software = host.software
        if verb == "prepare":
            software.prepare(run, str(stdin))
            return self._said()
        if verb == "look":
            return self._looked(host, run, Step(step))
        try:
            software.start(run, Step(step), self.world.now)
        except Refused as error:
            return self._failed(str(error))
        if software.busy:
            self.world.refuse_serving(host)
        self._note(step)
        return self._said()

    def _looked(self, host: Host, run: str, step: Step) -> Completed:
        """It waits up to two seconds for the step's end."""
        wait = min(2.0, host.software.until - self.world.now)
        if host.software.step and wait > 0:
            Clock(self.world, self.process).sleep(wait)
            self.world.reach(self.name, self.process)
        said = host.software.look(run, step, self.world.now)
        return self._said(said) if said is not None else Completed(_NO_FOLDER, b"", b"", self.name)

    def _take(self, host: Host, name: str, stdin: str | bytes | None) -> Completed:
        assert isinstance(stdin, str)
        if host.full:
            return self._failed("No space left on device")
        host.engines[name].take(stdin)
        self._note(f"take {name}")
        return self._said()

    def _revert(self, host: Host, name: str, new: str) -> Completed:
        if not host.engines[name].revert(new):
            return self._failed("the unit that ran before was not kept")
        self._note(f"put back {name}")
        return self._said()

    def _note(self, what: str) -> None:
        self.world.changed(self.process, f"{self.name}: {what}")

    def _said(self, text: str = "") -> Completed:
        return Completed(0, text.encode(), b"", self.name)

    def _failed(self, text: str) -> Completed:
        return Completed(1, b"", text.encode(), self.name)


def _boot(host: Host) -> str:
    return f"boot-{host.boots}\n1.1\n1\n"


def _record(gate: Gate, command: str, stdin: str | bytes | None) -> str:
    """A gateway keeps audit lines and the control host's name: both can be read even while it sends no requests."""
    if "audit.log" in command or command == "true":
        return ""
    assert control.NAME in command, command
    if stdin is None:
        return gate.control
    gate.control = str(stdin)
    return ""


def _name(unit: str) -> str:
    """Given a unit or its file, return MODEL@N."""
    return unit.rpartition("/")[2].removeprefix("rackwright-").removesuffix(".service")


def _told(engine: Engine, now: float) -> str:
    """Return what REPLICAS_COMMAND prints about it."""
    without = "failed" if engine.dead else "activating"
    lines = {
        "replica": engine.address.partition("/")[2],
        "ActiveState": "active" if engine.started and not engine.dead else without,
        "Result": "success" if engine.started else "exit-code",
        "ExecMainStatus": "0" if engine.started else "1",
        "NRestarts": str(engine.restarts),
        "wanted": digest(engine.unit),
        "started": digest(engine.started) if engine.started else "",
        "state": "ready" if engine.answers(now) else "loading",
    }
    return "".join(f"{key}={value}\n" for key, value in lines.items())

"""Roles without a host: what a role would run, over pyinfra's @fake connector.

    commands(chrony, settings=Settings(server="ntp.lab"))            the shell commands, in order
    play(chrony, facts={DebPackages: {"chrony": ["4.6"]}}, …)        commands, uploads, operations, diffs

Facts are answered by class (`facts=`), by class and arguments (`{(File, "/etc/x"): {…}}`), or as the text that
their command would print (`answers={"dpkg -l": "ii chrony …"}`, matched as substring or pattern). A fact without
an answer sees a command that succeeds and prints nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pyinfra.api.command import FileUploadCommand, FunctionCommand, StringCommand
from pyinfra.api.config import Config
from pyinfra.api.facts import FactBase
from pyinfra.api.host import Host
from pyinfra.api.inventory import Inventory
from pyinfra.api.operations import run_host_op
from pyinfra.api.state import State, StateStage
from pyinfra.api.util import get_file_io
from pyinfra.context import ctx_config, ctx_host, ctx_state

Facts = Mapping[Any, object]
"""Fact class, or (fact class, its first arguments) → what `host.get_fact` returns; the closest match counts."""
Answers = Mapping[str | re.Pattern[str], object]
"""Substring or pattern of a command → the lines it prints, or {"stdout": …, "stderr": …, "success": False}."""


@dataclass(frozen=True)
class Played:
    """What a role did on a fake host on which every operation succeeds."""

    commands: list[str]
    """In order; an upload shows as `upload PATH`, a Python callback as `call NAME`. Hidden values show as ***."""
    operations: list[str]
    """The names of all operations, in order."""
    changed: list[str]
    """The names of those that ran a command."""
    uploads: dict[str, str] = field(default_factory=dict)
    """Path → content."""
    diffs: dict[str, str] = field(default_factory=dict)
    """Operation → the diff it showed."""
    notes: dict[str, str] = field(default_factory=dict)
    """Operation → what it found and left alone."""
    planned: dict[str, str] = field(default_factory=dict)
    """Operation → the diff that a plan shows, which runs each operation only up to its first command."""


def commands(
    role: Callable[..., object], *, facts: Facts | None = None, answers: Answers | None = None, **keywords: Any
) -> list[str]:
    """Return the shell commands that the role would run on a host that answers as given."""
    return play(role, facts=facts, answers=answers, **keywords).commands


def play(
    role: Callable[..., object],
    *,
    facts: Facts | None = None,
    answers: Answers | None = None,
    model: object = None,
    **keywords: Any,
) -> Played:
    """Run the role, or a deploy that reads `host.data.spec`, on a fake host; return everything that it did.

    Raise what the role raises.
    """
    state = _state(facts or {}, answers or {}, model)
    (host,) = state.inventory
    with ctx_state.use(state), ctx_config.use(state.config.copy()), ctx_host.use(host):
        try:
            state.set_stage(StateStage.Prepare)
            role(**keywords)
            planned = dict(host.connector_data.get("diffs", {}))
            state.set_stage(StateStage.Execute)
            state.is_executing = True
            for operation in list(host.op_hash_order):
                assert run_host_op(state, host, operation), f"failed: {state.op_meta[operation].names}"
            return _played(state, host, planned)
        finally:
            for context in (ctx_state, ctx_config, ctx_host):
                context.reset()


class _FakeHost(Host):
    """Answers facts by class before it asks the connector."""

    facts: Facts = {}

    def get_fact(self, name_or_cls: type[FactBase[Any]], *args: Any, **kwargs: Any) -> Any:
        given = (*args, *(value for key, value in kwargs.items() if not key.startswith("_")))
        values = tuple(tuple(value) if isinstance(value, list) else value for value in given)
        for known in range(len(values), -1, -1):
            key = (name_or_cls, *values[:known]) if known else name_or_cls
            if key in self.facts:
                return self.facts[key]
        return super().get_fact(name_or_cls, *args, **kwargs)


def _state(facts: Facts, answers: Answers, model: object) -> State:
    data = {"fake_responses": dict(answers), "fake_delay": 0.0, "fake_delay_jitter": 0.0, "spec": model}
    inventory = Inventory(([("@fake/host", data)], {}))
    (host,) = inventory
    host.__class__ = _FakeHost
    host.facts = facts  # type: ignore[attr-defined]
    state = State(inventory, Config(TEMP_DIR="/root"))
    state.set_stage(StateStage.Connect)
    host.connect()
    state.activate_host(host)
    return state


def _played(state: State, host: Host, planned: Mapping[str, str]) -> Played:
    shell, uploads, names, changed = [], {}, {}, []
    for operation, data in state.ops[host].items():
        names[operation] = next(iter(state.op_meta[operation].names)).split(" | ")[-1]
        ran = data.operation_meta._commands or []
        changed += [names[operation]] if ran else []
        for command in ran:
            shell.append(_shown(command))
            if isinstance(command, FileUploadCommand):
                uploads[command.dest] = _content(command)

    def named(texts: Mapping[str, str]) -> dict[str, str]:
        return {names[key]: text for key, text in texts.items() if key in names}

    diffs, notes = (named(host.connector_data.get(key, {})) for key in ("diffs", "notes"))
    return Played(shell, list(names.values()), changed, uploads, diffs, notes, named(planned))


def _shown(command: object) -> str:
    if isinstance(command, StringCommand):
        return command.get_masked_value()
    if isinstance(command, FileUploadCommand):
        return f"upload {command.dest}"
    return f"call {command.function.__name__}" if isinstance(command, FunctionCommand) else repr(command)


def _content(command: FileUploadCommand) -> str:
    with get_file_io(command.src, "rb") as stream:
        content: bytes | str = stream.read()
    return content.decode(errors="replace") if isinstance(content, bytes) else content


def systemctl(verb: str, unit: str) -> str:
    """The command that our operations use to control a unit; if it fails, the command prints the unit's journal."""
    journal = f"journalctl --quiet --no-pager --output=cat --lines=12 --unit={unit}"
    return f"systemctl {verb} -- {unit} || {{ {journal} >&2; false; }}"

"""A transport that runs nothing: it records its input and answers from a function."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from rackwright.remote.completed import Completed

Reply = Callable[[str, bytes], Completed]


@dataclass
class Scripted:
    reply: Reply = lambda _command, _stdin: Completed(0)
    is_root: bool = True
    login_key: str | None = None
    dead: bool = False
    commands: list[str] = field(default_factory=list)
    inputs: list[bytes] = field(default_factory=list)

    def execute(self, command: str, stdin: Iterable[bytes], *, timeout: float | None, limit: int) -> Completed:
        self.commands.append(command)
        self.inputs.append(b"".join(stdin))
        return self.reply(command, self.inputs[-1])

    def alive(self) -> bool:
        return not self.dead

    def close(self) -> None:
        self.dead = True

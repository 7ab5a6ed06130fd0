"""A console that records what it is told, and answers every question alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rackwright.errors import RackwrightError


@dataclass
class Answering:
    agrees: bool = True
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    meanwhile: Callable[[], object] = lambda: None
    """What happens while it is asked."""

    def say(self, text: str) -> None:
        self.said.append(text)

    def confirm(self, question: str, *, refusal: RackwrightError | None = None) -> None:
        self.asked.append(question)
        self.meanwhile()
        if not self.agrees:
            raise RackwrightError("not confirmed, nothing was changed")

    def stage(self, what: str, stages: Sequence[str]) -> None:
        raise AssertionError("it has no stages")

    def heard(self) -> None:
        raise AssertionError("nothing was interrupted")

    def arriving(self, host: str, what: str, done: int, total: int, rate: int) -> None:
        raise AssertionError("nothing is sent between hosts")

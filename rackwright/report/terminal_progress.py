"""Progress on a terminal: one bar per host. Imported only for a terminal, because rich is slow to import."""

from __future__ import annotations

import os
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from rackwright.runner.progress import Progress as News
from rackwright.terminal import shown, visible


class Bars:
    def __init__(self, stream: TextIO, *, force_terminal: bool | None = None) -> None:
        self._console = Console(
            file=stream, force_terminal=force_terminal, no_color="NO_COLOR" in os.environ, highlight=False
        )
        self._progress = Progress(
            TextColumn("{task.fields[host]}", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.completed:.0f}/{task.total:.0f}", markup=False),
            TimeElapsedColumn(),
            TextColumn("{task.fields[doing]}", markup=False),
            console=self._console,
            transient=True,
        )
        self._hosts: dict[str, TaskID] = {}

    def line(self, text: str) -> None:
        for part in shown(text):
            self._progress.print(Text(part, style=f"{'bold ' if part.bold else ''}{part.color or ''}"))

    def host(self, news: News, detail: str) -> None:
        self._progress.start()
        if news.host not in self._hosts:
            self._hosts[news.host] = self._progress.add_task("", total=news.total, host=visible(news.host), doing="")
        doing = visible(f"{news.role}: {news.operation}" + (f" ({detail})" if detail else ""))
        done = news.number if news.step else news.number - 1
        self._progress.update(self._hosts[news.host], completed=done, total=news.total, doing=doing)

    def close(self) -> None:
        self._progress.stop()

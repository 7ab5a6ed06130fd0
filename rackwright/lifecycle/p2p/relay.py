"""Weights whose source on this machine is lost: pass them on from a host that has them, through this machine."""

from __future__ import annotations

import io
import shlex
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rackwright.errors import HostError
from rackwright.lifecycle.p2p.transfer import Has, Transfer, look
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.session import Session
from rackwright.operations.filesystem.fetch import incoming
from rackwright.operations.filesystem.sent_file import SentFile, UnfitFile
from rackwright.remote.transport import Pipe
from rackwright.roles.model_store.settings import StoredModel
from rackwright.values.file import File


@dataclass(frozen=True)
class _Lost:
    """Files of a model that hosts need, and that this machine no longer has as the lock describes them."""

    model: StoredModel
    files: tuple[File, ...]
    why: str
    hosts: tuple[str, ...]
    """Those that lack the model."""
    source: str
    """The host that has it."""


def relay_lost_weights(session: Session, hosts: Iterable[str], console: Console) -> None:
    """Put the weights into the incoming folders of these hosts that lack them, if their `file:` source is lost.

    They come from any host of the fleet that has them, as a stream through this machine. The fetch that follows
    checks their sha256, as if they had come from the source. Where that fails, it says what is wrong with the source.
    """
    for lost in tuple(_lost(session, tuple(hosts))):
        what = f"{lost.model.name} {lost.model.digest[:16]}"
        console.say(f"{what}: {lost.why}; {lost.source} has it: {lost.source} → {', '.join(lost.hosts)}")

        def pass_on(host: str, lost: _Lost = lost, what: str = what) -> str | None:
            try:
                _pass_on(session, lost, host, what, console)
            except HostError as error:
                return error.problems[0].what
            return None

        for host, why in session.remote.each(lost.hosts, pass_on).items():
            if why:
                console.say(f"{what}: {host} could not get it from {lost.source}: {why}")


def _lost(session: Session, hosts: tuple[str, ...]) -> Iterator[_Lost]:
    for model, needed in _from_here(session, hosts).items():
        transfer = Transfer(model, _roots(session))
        has = {host: found for host, found in look(session, transfer).items() if isinstance(found, Has)}
        whole = [host for host, found in has.items() if found.whole]
        lacking = tuple(host for host in needed if host in has and not has[host].whole)
        if not whole or not lacking:
            continue
        wrong = {file: why for file in model.files if (why := _unfit(file))}
        roomy = tuple(host for host in lacking if not has[host].refuses(transfer, host))
        if wrong and roomy:
            yield _Lost(model, tuple(wrong), next(iter(wrong.values())), roomy, whole[0])


def _from_here(session: Session, hosts: Iterable[str]) -> dict[StoredModel, list[str]]:
    """Return the models with files that this machine sends, and the hosts that store them."""
    found: dict[StoredModel, list[str]] = {}
    for host in hosts:
        store = session.hosts[host].model_store
        for model in store.own.models if store else ():
            if any(file.local for file in model.files):
                found.setdefault(model, []).append(host)
    return found


def _roots(session: Session) -> Mapping[str, str]:
    """Return where each host would have weights, also a host that no longer serves."""
    return {name: session.fleet.file.hosts[name].store.path for name in session.fleet.hosts}


def _unfit(file: File) -> str | None:
    """Return why this machine can't send a file, None if it can or needn't."""
    if file.local is None:
        return None
    try:
        SentFile(file.local, file)
    except UnfitFile as error:
        return error.problems[0].what.partition(";")[0]
    return None


def _pass_on(session: Session, lost: _Lost, host: str, what: str, console: Console) -> None:
    source, target = session.remote.connection(lost.source), session.remote.connection(host)
    transfer = Transfer(lost.model, _roots(session))
    into = incoming(transfer.roots[host])
    target.run(f"install -d -m 0700 -o root -g root -- {shlex.quote(into)}").check("making the folder for weights")
    for file in {file.sha256: file for file in lost.files}.values():
        began = time.monotonic()

        def progress(done: int, total: int, began: float = began) -> None:
            console.arriving(host, what, done, total, int(done / max(time.monotonic() - began, 0.001)))

        stored = f"{transfer.folder(lost.source)}/{file.path}"
        with io.BufferedReader(_Content(source.pipe(f"exec cat -- {shlex.quote(stored)}"))) as content:
            target.put(content, f"{into}/{file.sha256}", size=file.size, progress=progress)


class _Content(io.RawIOBase):
    """What a command on a host prints."""

    def __init__(self, pipe: Pipe) -> None:
        super().__init__()
        self._pipe = pipe
        pipe.shutdown_write()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._pipe.recv(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        self._pipe.close()
        super().close()

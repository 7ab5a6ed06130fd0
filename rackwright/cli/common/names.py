"""Names on the command line that a shell can complete, because the fleet file has them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from rackwright.fleet.fleet import Fleet


class NameOf(click.ParamType[str]):
    """Text that names something of the fleet. It is checked by the command, which knows more about it."""

    def __init__(self, name: str, offered: Callable[[Fleet], Iterable[str]]) -> None:
        self.name, self._offered = name, offered

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the names that begin with what was typed; none if the fleet file can't be read."""
        from click.shell_completion import CompletionItem

        # Whatever is wrong with the fleet file, a shell that completes a word must not print it.
        with suppress(Exception):
            names = dict.fromkeys(self._offered(ctx.ensure_object(Context).fleet))
            return [CompletionItem(name) for name in names if name.startswith(incomplete)]
        return []


def _hosts(fleet: Fleet) -> Iterable[str]:
    return (*fleet.file.hosts, *fleet.file.groups)


def _models(fleet: Fleet) -> Iterable[str]:
    return fleet.file.models


def _replicas(fleet: Fleet) -> Iterable[str]:
    return (replica.address for replica in fleet.replicas)


def _keys(fleet: Fleet) -> Iterable[str]:
    from rackwright.fleet.keys_file import read_keys

    return (key.id for key in read_keys(fleet.sibling("keys.yml")))


HOST = NameOf("host", _hosts)
MODEL = NameOf("model", _models)
REPLICA_OR_HOST = NameOf("replica", lambda fleet: (*_replicas(fleet), *fleet.file.hosts))
REPLICA_HOST_OR_MODEL = NameOf("replica", lambda fleet: (*_replicas(fleet), *fleet.file.hosts, *_models(fleet)))
KEY = NameOf("key", _keys)

"""`rackwright fit`: whether models fit where they are placed, before anything is bought, copied or started."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.names import MODEL
from rackwright.cli.common.options import Command, common_options, pass_context
from rackwright.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from rackwright.fit.demand import Engine
    from rackwright.lifecycle.fit.procedure import Memory, Overrides, Placed


def _card(_: click.Context, option: click.Parameter, value: str | None) -> int | None:
    from rackwright.hardware.cards import NAMES, memory_of, memory_of_size
    from rackwright.values.amounts import parse_size

    if value is None:
        return None
    if memory := memory_of_size(value):
        return memory
    try:
        return parse_size(value)
    except ValueError:
        pass
    if memory := memory_of(value):
        return memory
    raise click.BadParameter(f"{value!r} should be a size like 80GiB, or one of {', '.join(NAMES)}", param=option)


def _size(_: click.Context, option: click.Parameter, value: str | None) -> int | None:
    from rackwright.values.amounts import parse_size

    try:
        return None if value is None else parse_size(value)
    except ValueError as error:
        raise click.BadParameter(str(error), param=option) from None


@click.command(cls=Command)
@click.argument("models", nargs=-1, metavar="[MODEL]...", type=MODEL)
@click.option(
    "--gpu", metavar="CARD|SIZE", callback=_card, help='A GPU like "H100 80GB", or its memory; asks no host.'
)
@click.option("--ram", metavar="SIZE", callback=_size, help="Memory of a host without GPUs; asks no host.")
@click.option(
    "--context",
    "tokens",
    metavar="TOKENS",
    type=click.IntRange(128),
    help="Tokens of one request.",
)
@click.option("--parallel", metavar="N", type=click.IntRange(1), help="Requests that must fit at the same time.")
@click.option("--source", metavar="SOURCE", help="A model that is in no fleet file: hf:…, https://… or file:PATH.")
@click.option("--gpus", metavar="N", type=click.IntRange(0, 64), help="With --source: GPUs of one replica.")
@click.option(
    "--runtime",
    type=click.Choice(("vllm", "llama_cpp")),
    help="With --source; default: by its files.",
)
@common_options
@pass_context
def fit(
    context: Context,
    models: tuple[str, ...],
    gpu: int | None,
    ram: int | None,
    tokens: int | None,
    parallel: int | None,
    source: str | None,
    gpus: int | None,
    runtime: Engine | None,
) -> int:
    """Show whether models fit where they are placed.

    Shows weights, cache and overhead on each GPU, the largest context, how many requests fit at the same time, and
    what would make a model fit. Calculates from the lock and the hosts' hardware. Exit code 12 if one doesn't fit.
    """
    from rackwright.lifecycle.fit.procedure import Overrides

    if source is None and (gpus is not None or runtime):
        raise UsageError("--gpus and --runtime need --source", should="the fleet file sets both for its models")
    overrides = Overrides(tokens, parallel)
    unreachable: dict[str, str] = {}
    if source is not None:
        placed = _of_source(context, source, models, gpu, ram, gpus, runtime, overrides)
    else:
        placed, unreachable = _of_fleet(context, models, gpu, ram, overrides)
    from rackwright.cli.render.fit_text import as_document, as_text

    context.answer(as_document(placed, unreachable), *as_text(placed, unreachable))
    if any(one.fit and one.fit.fits is False for one in placed):
        return ExitCode.NOT_PROVEN
    return ExitCode.HOSTS_FAILED if unreachable else ExitCode.DONE


def _of_source(
    context: Context,
    source: str,
    models: Sequence[str],
    gpu: int | None,
    ram: int | None,
    gpus: int | None,
    runtime: Engine | None,
    overrides: Overrides,
) -> tuple[Placed, ...]:
    from rackwright.fit.demand import Room
    from rackwright.lifecycle.fit.by_source import fit_source
    from rackwright.lifecycle.fit.procedure import Memory

    many = gpus if gpus is not None else int(gpu is not None)
    memory = gpu if many else Memory(ram=ram).for_engines
    if models or memory is None:
        raise UsageError(
            "--source checks one model, and needs the size of its memory", should="give --gpu or --ram, and no MODEL"
        )
    fleet = context.fleet if context.path.exists() else None
    return (fit_source(source, fleet, runtime, room=Room(memory, many), overrides=overrides),)


def _of_fleet(
    context: Context, models: tuple[str, ...], gpu: int | None, ram: int | None, overrides: Overrides
) -> tuple[tuple[Placed, ...], dict[str, str]]:
    from rackwright.fleet.lock_file import read_lock, require_match
    from rackwright.fleet.naming import unknown_model
    from rackwright.lifecycle.fit.procedure import fit_fleet

    fleet = context.fleet
    for name in models:
        if name not in fleet.file.models:
            raise unknown_model(fleet, name)
    lock = read_lock(fleet.sibling("lock"))
    require_match(fleet, lock)
    wanted = set(models or fleet.file.models)
    placed_on = (replica.hosts for replica in fleet.replicas if replica.model in wanted)
    hosts = tuple(dict.fromkeys(host for several in placed_on for host in several))
    memories, unreachable = _memories(context, hosts, gpu, ram)
    placed = fit_fleet(fleet, lock, memories, overrides=overrides)
    return tuple(one for one in placed if one.model in wanted), unreachable


def _memories(
    context: Context, hosts: tuple[str, ...], gpu: int | None, ram: int | None
) -> tuple[dict[str, Memory], dict[str, str]]:
    from rackwright.lifecycle.fit.procedure import Memory, ask

    if gpu is not None or ram is not None:
        return dict.fromkeys(hosts, Memory(gpu, ram)), {}
    hosts_needed()
    from rackwright.fleet.targets import targets
    from rackwright.remote import Remote

    with Remote(targets(context.fleet, hosts)) as remote:
        return ask(remote, hosts)

"""`rackwright lab`: disposable hosts to try things on."""

from __future__ import annotations

from pathlib import Path

import click

from rackwright.cli.common.context import Context, Json
from rackwright.cli.common.options import Group, json_option, pass_context

_MOST_HOSTS = 40
name_option = click.option("--name", default="lab", show_default=True, help="Name of the lab.")


@click.group(cls=Group)
def lab() -> None:
    """Start, list and remove disposable hosts to try things on.

    They are podman containers that boot systemd; the lab needs root.
    """


@lab.command()
@name_option
@click.option(
    "--hosts",
    "serving",
    type=click.IntRange(1, _MOST_HOSTS),
    default=2,
    show_default=True,
    help="Number of serving hosts, in addition to one gateway.",
)
@json_option
@pass_context
def up(context: Context, name: str, serving: int) -> None:
    """Start the lab's hosts and write its fleet file inventory/NAME.yml."""
    from rackwright.lab import artefacts, fleet_file
    from rackwright.lab.hosts import Lab, LabSpec

    spec = LabSpec(hosts=("gate1", *(f"gpu{number}" for number in range(1, serving + 1))))
    fleet = Lab(name).up(spec, say=context.note)
    path = _fleet_file(name)
    if not fleet_file.write(path, fleet, artefacts.ensure(context.note)):
        context.note(f"{path} was edited manually and is not overwritten")
    lines = [f"{host:<8} {address}" for host, address in fleet.hosts.items()]
    document: Json = {"name": name, "fleet_file": str(path), "hosts": fleet.hosts, "key": str(fleet.key)}
    context.answer(document, *lines, f"next: rackwright -f {path} lock")


@lab.command()
@name_option
@json_option
@pass_context
def down(context: Context, name: str) -> None:
    """Remove the lab's hosts and network, and its files inventory/NAME.*."""
    from rackwright.lab import fleet_file
    from rackwright.lab.hosts import Lab

    Lab(name).down()
    fleet_file.remove(_fleet_file(name))
    context.answer({"name": name, "removed": True}, f"lab {name} is removed")


@lab.command(name="list")
@json_option
@pass_context
def list_(context: Context) -> None:
    """List this machine's labs and the state of their hosts."""
    from rackwright.lab import containers, programs
    from rackwright.lab.hosts import list_labs

    programs.ensure()
    labs = {name: containers.states(name) for name in list_labs()}
    lines = [
        f"{name}: {', '.join(f'{host} {state}' for host, state in hosts.items())}" for name, hosts in labs.items()
    ]
    context.answer({"labs": labs}, *(lines or ["no lab is up"]))


def _fleet_file(name: str) -> Path:
    return Path("inventory") / f"{name}.yml"

"""`rackwright lab`: disposable hosts to try things on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

from rackwright.cli.common.context import Context, Json
from rackwright.cli.common.options import Group, confirm, json_option, pass_context, yes_option

_MOST_HOSTS = 40
_MOST_GATEWAYS = 9
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
    help="Number of serving hosts, in addition to the gateways.",
)
@click.option(
    "--gateways", type=click.IntRange(1, _MOST_GATEWAYS), default=1, show_default=True, help="Number of gateways."
)
@json_option
@pass_context
def up(context: Context, name: str, serving: int, gateways: int) -> None:
    """Start the lab's hosts and write its fleet file inventory/NAME.yml."""
    from rackwright.lab import artefacts, fleet_file
    from rackwright.lab.hosts import Lab, LabSpec

    named = (
        f"{kind}{number}" for kind, count in (("gate", gateways), ("gpu", serving)) for number in range(1, count + 1)
    )
    path, made = _fleet_file(name), Lab(name)
    made.claim(path)
    fleet = made.up(LabSpec(hosts=tuple(named)), say=context.note)
    if not fleet_file.write(path, fleet, artefacts.ensure(context.note), gateways=gateways):
        context.note(f"{path} was edited manually and is not overwritten")
    lines = [f"{host:<8} {address}" for host, address in fleet.hosts.items()]
    document: Json = {"name": name, "fleet_file": str(path), "hosts": fleet.hosts, "key": str(fleet.key)}
    context.answer(document, *lines, f"next: rackwright -f {path} lock")


@lab.command()
@name_option
@yes_option
@json_option
@pass_context
def down(context: Context, name: str, yes: bool) -> None:
    """Remove the lab's hosts and network, and its files inventory/NAME.*.

    Asks first if it runs on a terminal.
    """
    from rackwright.lab import containers, fleet_file, programs
    from rackwright.lab.hosts import Lab

    programs.ensure()
    if sys.stdin.isatty() and not context.json and (hosts := containers.states(name)):
        confirm(f"Remove {', '.join(hosts)} of lab {name}, and {_fleet_file(name).with_suffix('.*')}?", yes=yes)
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


@lab.command()
@click.argument("host")
@click.argument("command", nargs=-1)
@name_option
@json_option
@pass_context
def ssh(context: Context, host: str, command: tuple[str, ...], name: str) -> int:
    """Log in to a host of the lab, or run COMMAND there.

    The user `ops` has sudo without a password. The exit code is that of the command; 255 if SSH fails. With --json,
    prints the ssh command instead.
    """
    from rackwright.lab.hosts import Lab

    login = [*Lab(name).ssh(host), *command]
    if context.json:
        context.answer({"command": login})
        return 0
    return subprocess.run(login, check=False).returncode


def _fleet_file(name: str) -> Path:
    return Path("inventory") / f"{name}.yml"

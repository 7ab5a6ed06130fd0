"""The command line: one file per command, imported only when the command is invoked."""

from __future__ import annotations

from importlib import import_module

import click

from rackwright import __version__
from rackwright.cli.common.options import EXIT_CODES, fleet_option, json_option

COMMANDS = {
    "init": "Write a commented fleet file to start from.",
    "trust": "Show the hosts' SSH keys and pin them.",
    "lock": "Resolve models, runtimes, drivers and ports into the lock.",
    "check": "Check the fleet file, the lock and the hosts; change nothing.",
    "fit": "Show whether models fit where they are placed.",
    "assess": "Show what hosts have and lack, before anything is installed.",
    "plan": "Show what apply would change.",
    "apply": "Make the hosts match the fleet file and the lock.",
    "verify": "Prove that the service works as clients see it.",
    "bench": "Put a constant load on a model's service and measure it.",
    "status": "Show models, replicas and what is pending.",
    "logs": "Show the logs of a replica or a host.",
    "runtime": "Update the runtimes that engines use.",
    "rollout": "Show, resume or abort the open rollout.",
    "patch": "Plan, run and report the patching of hosts.",
    "schedule": "Show, run, pause and resume what runs on a schedule.",
    "notify": "Test who hears of patch runs and drills.",
    "restart": "Restart replicas under traffic.",
    "drain": "Take a replica, a host or a gateway out of service.",
    "undrain": "Let a drained replica, host or gateway take requests again.",
    "migrate": "Move from a cloud's API to the fleet.",
    "model": "Show, update, promote, roll back and prune models.",
    "backup": "Make, check, list and read the hosts' snapshots, and save the kit.",
    "restore": "Bring hosts' state and weights back from their snapshots.",
    "drill": "Rehearse a disaster on scratch hosts, and show the evidence.",
    "key": "Add, list, edit, revoke and pull API keys.",
    "usage": "Show requests, tokens and times by key, owner, model or day.",
    "ca": "Show, fetch or rotate the fleet's CA.",
    "audit": "Show who did what on the hosts, and when.",
    "access": "Show who can log in to the hosts, and with which keys.",
    "lease": "Show, break or move the lease on the fleet.",
    "schema": "Print the fleet file's JSON Schema for editors.",
    "lab": "Start, list and remove disposable hosts to try things on.",
}
"""The one-line help of each command, so that --help imports none of them. In the order of a fleet's life."""


class Commands(click.Group):
    """A group that imports rackwright.cli.NAME when NAME is invoked."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"rackwright.cli.{cmd_name}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit codes"):
            formatter.write_dl(list(EXIT_CODES))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            raise click.UsageError(error.message + _suggestion(args[0]), ctx) from None


def _suggestion(name: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, COMMANDS, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="rackwright", message="%(prog)s %(version)s")
@fleet_option
@json_option
def rackwright() -> None:
    """Turn bare GPU machines into a private LLM service over SSH, and look after it for life."""

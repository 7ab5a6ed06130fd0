"""Options that commands share, and the exit codes that each help text lists."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click import termui

from rackwright.cli.common.context import Context
from rackwright.cli.common.names import HOST
from rackwright.errors import ExitCode, RackwrightError, UsageError
from rackwright.terminal import agreed, answer_to
from rackwright.values.tool_mode import in_tool_mode

Function = TypeVar("Function", bound=Callable[..., Any])
Answer = TypeVar("Answer")

EXIT_CODES = tuple(
    (str(int(code)), text)
    for code, text in (
        (ExitCode.DONE, "done"),
        (ExitCode.FAILED, "failed, interrupted or not confirmed"),
        (ExitCode.USAGE, "usage"),
        (ExitCode.HOSTS_FAILED, "some hosts failed; the others completed"),
        (ExitCode.CHANGES_PENDING, "changes pending (plan --check, drift)"),
        (ExitCode.FLEET_INVALID, "the fleet file, the lock or a secret is not valid"),
        (ExitCode.LEASED, "leased by someone else, or a rollout is open"),
        (ExitCode.NOT_PROVEN, "a proof, check or drill did not pass"),
    )
)


class Command(click.Command):
    """A command whose help ends with the exit codes."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        with formatter.section("Exit codes"):
            formatter.write_text(" · ".join(f"{code} {text}" for code, text in EXIT_CODES))


class Group(click.Group):
    """A group whose commands' help ends with the exit codes."""

    command_class = Command


def _read_answer(prompt: str = "") -> str:
    from rackwright.cli.common.prompts import read_answer

    return read_answer(prompt)


# click's hook for a replacement of `input`.
termui.visible_prompt_func = _read_answer

pass_context = click.make_pass_decorator(Context, ensure=True)
"""Hands a command the Context as its first argument."""


def _remember_json(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(Context).json = True


def _remember_fleet(ctx: click.Context, _: click.Parameter, value: Path | None) -> None:
    if value is None:
        return
    if in_tool_mode():
        what, should = "the tool on a control host works on the applied fleet", "should be without -f"
        raise UsageError(what, where=f"-f {value}", should=should)
    ctx.ensure_object(Context).path = value


def json_option(function: Function) -> Function:
    """Add --json. The command reads it from its Context, wherever it was on the command line."""
    return click.option(
        "--json", is_flag=True, expose_value=False, callback=_remember_json, help="Print one JSON document."
    )(function)


def fleet_option(function: Function) -> Function:
    """Add -f/--fleet. The command reads the fleet from its Context."""
    return click.option(
        "-f",
        "--fleet",
        metavar="FILE",
        type=click.Path(path_type=Path),
        expose_value=False,
        callback=_remember_fleet,
        help="The fleet file. Default: $RACKWRIGHT_FLEET, or inventory/fleet.yml.",
    )(function)


def common_options(function: Function) -> Function:
    """Add --fleet and --json."""
    return fleet_option(json_option(function))


def yes_option(function: Function) -> Function:
    """Add -y/--yes as the keyword `yes`."""
    return click.option("-y", "--yes", is_flag=True, help="Don't ask; for scripts.")(function)


def unattended_option(function: Function) -> Function:
    """Add --unattended as the keyword `unattended`."""
    return click.option(
        "--unattended", is_flag=True, help="Ask no one: do only what unattended.allow in the fleet file permits."
    )(function)


def refuse_with_unattended(*, unattended: bool, **others: bool) -> None:
    """Raise UsageError if --unattended comes with an option that agrees to something for an operator.

    `others`: whether each of these options was passed, by its keyword.
    """
    passed = [f"--{name.replace('_', '-')}" for name, there in others.items() if there]
    if unattended and passed:
        raise UsageError(
            f"--unattended can't be combined with {' and '.join(passed)}",
            should="what an unattended run may do is in unattended.allow of the fleet file",
        )


def allow_outage_option(function: Function) -> Function:
    """Add --allow-outage as the keyword `allow_outage`."""
    return click.option(
        "--allow-outage", is_flag=True, help="Allow planned downtime: take even the last healthy replica of a model."
    )(function)


def only_option(function: Function) -> Function:
    """Add --only as the keyword `only`, names of roles. Raise UsageError for an unknown role."""
    return click.option(
        "--only",
        metavar="ROLE",
        multiple=True,
        callback=_refuse_unknown_roles,
        help="Only this role; may be repeated.",
    )(function)


def _refuse_unknown_roles(_: click.Context, __: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    if names:
        from pkgutil import iter_modules

        from rackwright import roles
        from rackwright.fleet.naming import unknown

        known = tuple(sorted(module.name for module in iter_modules(roles.__path__) if module.ispkg))
        for name in names:
            if name not in known:
                raise unknown(name, known, "role")
    return names


def not_stale_option(function: Function) -> Function:
    """Add --not-stale as the keyword `not_stale`."""
    return click.option(
        "--not-stale",
        is_flag=True,
        help="Continue if git can't tell whether these files or those applied last are newer.",
    )(function)


def change_options(function: Function) -> Function:
    """Add the options of all commands that change the lock: `allow_outage`, `not_stale`, `yes`, `unattended`."""
    return allow_outage_option(not_stale_option(yes_option(unattended_option(function))))


def no_canary_option(function: Function) -> Function:
    """Add --no-canary as the keyword `canary`."""
    return click.option(
        "--no-canary", "canary", is_flag=True, default=True, flag_value=False, help="Skip the canary."
    )(function)


def limit_option(function: Function) -> Function:
    """Add --limit as the keyword `limit`, a tuple of hosts and groups as they were written."""
    return click.option(
        "-l", "--limit", metavar="HOST|GROUP", multiple=True, type=HOST, help="Only these hosts; may be repeated."
    )(function)


def confirm(question: str, *, yes: bool) -> None:
    """Return if the operator agrees. Raise RackwrightError if not, UsageError if no one can be asked."""
    if yes:
        return
    context = click.get_current_context(silent=True)
    if context and context.ensure_object(Context).json:
        raise UsageError("this command asks for confirmation, and --json allows no questions", should="pass --yes")
    if not _answered(agreed, question):
        raise RackwrightError("not confirmed, nothing was changed")


def typed(question: str) -> str:
    """Return what the operator types. Raise UsageError if no one can be asked."""
    return _answered(answer_to, question)


def _answered(ask: Callable[[str], Answer], question: str) -> Answer:
    try:
        return ask(question)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        raise UsageError(
            "this command asks for confirmation, and there is no answer", should="confirm in a terminal or pass --yes"
        ) from None

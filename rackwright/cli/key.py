"""`rackwright key`: create, change and revoke API keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from rackwright.cli.common.commit import remind_to_commit
from rackwright.cli.common.context import Context, Json, hosts_needed
from rackwright.cli.common.names import KEY
from rackwright.cli.common.options import Function, Group, common_options, confirm, pass_context, yes_option
from rackwright.cli.render.table import table
from rackwright.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from rackwright.fleet.keys_file import ApiKey, RevokedKey
    from rackwright.lifecycle.key import Pushed, Verb


@click.group(cls=Group)
def key() -> None:
    """Add, list, edit, revoke and pull API keys.

    NAME.keys.yml next to the fleet file has each key's owner and SHA-256, never the key itself. Commit it.
    """


class TokenLimit(click.ParamType[int | str]):
    """A number of tokens, like 20M, or `unlimited`."""

    name = "20M|unlimited"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        from rackwright.values.amounts import parse_tokens

        if value == "unlimited":
            return "unlimited"
        try:
            return parse_tokens(value)
        except ValueError as error:
            self.fail(f"'{value}' {error}, or 'unlimited'", param, ctx)


class Limit(click.ParamType[int | str]):
    """A number from 1, or one of these words."""

    def __init__(self, *words: str) -> None:
        self.words = words
        self.name = "|".join(("N", *words))

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        text = str(value)
        if text in self.words:
            return text
        if not (text.isdecimal() and text.isascii() and int(text) > 0):
            words = " or ".join(f"'{word}'" for word in self.words)
            self.fail(f"'{text}' should be a number from 1 or {words}", param, ctx)
        return int(text)


later_option = click.option(
    "--later", is_flag=True, help="Only write the keys file; the next apply updates the hosts and the kit."
)


def terms_options(function: Function) -> Function:
    """Add the options for what a key may do; their names are those of `Terms`."""
    for option in (
        click.option(
            "--priority",
            type=click.Choice(["high", "normal", "low", "team"]),
            help="In which order its requests wait for a free slot. team: as its owner in the fleet file's teams.",
        ),
        click.option("--tokens-per-month", type=TokenLimit(), help="Per month (UTC), at all gateways together."),
        click.option("--tokens-per-day", type=TokenLimit(), help="Per day (UTC), at all gateways together."),
        click.option(
            "--concurrency",
            type=Limit("unlimited", "default"),
            help="Requests at the same time, at each gateway. default: gateway.key_concurrency in the fleet file.",
        ),
        click.option(
            "--requests-per-minute",
            type=Limit("unlimited"),
            help="Requests per minute, at all gateways together.",
        ),
        click.option("--expires", metavar="90d|DATE|never", help="After this time, or at the end of this day (UTC)."),
        click.option("--model", "models", multiple=True, metavar="MODEL", help="Only this model; may be repeated."),
    ):
        function = option(function)
    return function


@key.command()
@click.argument("id")
@click.option("--owner", required=True, help="Who is responsible for it: a person or a team.")
@terms_options
@later_option
@common_options
@pass_context
def add(context: Context, /, id: str, owner: str, models: tuple[str, ...], later: bool, **terms: Any) -> int:
    """Create an API key and print it, only this once.

    By default it is valid for all models and forever, and its only limit is `gateway.key_concurrency`. Exit code 3 if
    a gateway could not be updated and doesn't accept the key yet, or a control host doesn't keep it.
    """
    hosts_needed()
    from rackwright.lifecycle.key import Terms, add_key

    added, text = add_key(context.fleet, id, Terms(owner=owner, models=models, **terms))
    pushed = _push(context, added, "add", later=later)
    shown = text.reveal()
    context.answer({**_document(added), "key": shown, **_hosts(pushed)}, shown)
    _afterwards(context, later=later)
    return _code(pushed)


@key.command()
@click.argument("id", type=KEY)
@click.option("--owner", help="Who is responsible for it: a person or a team.")
@terms_options
@click.option("--all-models", is_flag=True, help="Allow all models again.")
@later_option
@common_options
@pass_context
def edit(
    context: Context,
    /,
    id: str,
    owner: str | None,
    models: tuple[str, ...],
    all_models: bool,
    later: bool,
    **terms: Any,
) -> int:
    """Change a key's owner, models, expiry or limits. The key itself stays the same.

    Options that you omit stay as they are. Exit code 3 if a gateway could not be updated and still uses the old
    settings, or a control host doesn't keep the change.
    """
    hosts_needed()
    from rackwright.fleet.keys_file import may
    from rackwright.lifecycle.key import Terms, edit_key

    if models and all_models:
        raise UsageError("--model and --all-models contradict each other", should="give one of them")
    said = Terms(owner=owner, models=models if models or all_models else None, **terms)
    if said == Terms():
        raise UsageError("no option says what to change", where=id, next="rackwright key edit --help")
    changed = edit_key(context.fleet, id, said)
    pushed = _push(context, changed, "edit", later=later)
    context.answer({**_document(changed), **_hosts(pushed)}, f"{changed.id} of {changed.owner}: {may(changed)}")
    _afterwards(context, later=later)
    return _code(pushed)


@key.command(name="list")
@common_options
@pass_context
def list_(context: Context) -> None:
    """List the keys: id, owner, models, limits, when each was made and expires."""
    from rackwright.fleet.keys_file import read_keys

    keys = read_keys(context.fleet.sibling("keys.yml"))
    rows = [("ID", "OWNER", "MODELS", "LIMITS", "CREATED", "EXPIRES"), *(_row(one) for one in keys)]
    context.answer({"keys": [_document(one) for one in keys]}, *(table(rows) if keys else ["no keys yet"]))


@key.command()
@click.argument("id", type=KEY)
@later_option
@yes_option
@common_options
@pass_context
def revoke(context: Context, id: str, later: bool, yes: bool) -> int:
    """Revoke a key. Requests with it are refused from now on.

    Exit code 3 if a gateway could not be updated and still accepts the key, or a control host doesn't keep the
    revocation.
    """
    hosts_needed()
    from rackwright.lifecycle.key import find_key, revoke_key

    found = find_key(context.fleet, id)
    confirm(f"Revoke {found.id} of {found.owner}?", yes=yes)
    pushed = _push(context, found, "revoke", revoke_key(context.fleet, id), later=later)
    context.answer({"revoked": _document(found), **_hosts(pushed)}, f"{found.id} of {found.owner} is revoked")
    _afterwards(context, later=later)
    return _code(pushed)


@key.command()
@common_options
@pass_context
def pull(context: Context) -> None:
    """Add to the keys file which keys were added, changed or revoked with another copy of it.

    Asks gateways and control hosts. Use it if apply refuses because the keys file is out of date, and git has no
    newer one.
    """
    hosts_needed()
    from rackwright.lifecycle.key import pull_keys

    pulled = pull_keys(context.fleet)
    document: Json = {"pulled": [{**_document(one.key), "revoked": one.revoked, "who": one.who} for one in pulled]}
    context.answer(document, *(map(str, pulled) if pulled else ["the keys file already has every key"]))


def _push(context: Context, key: ApiKey, verb: Verb, gone: RevokedKey | None = None, *, later: bool) -> Pushed:
    """Update gateways and control hosts. Print to standard error which could not be updated."""
    from rackwright.lifecycle.key import Pushed, push_key

    pushed = Pushed() if later else push_key(context.fleet, key, verb, gone)
    for host, problem in pushed.gateways.items():
        if problem:
            context.note(f"{host} was not updated: {problem}")
    for host, problem in pushed.control_hosts.items():
        # One line is enough for a host that can't be reached.
        if problem and problem != pushed.gateways.get(host):
            context.note(f"{host}, a control host, doesn't have this change: {problem}")
    if later or not pushed.complete:
        context.note("next: rackwright apply")
    return pushed


def _afterwards(context: Context, *, later: bool) -> None:
    """Remind to commit the keys file, and save the kit, now that the gateways know the key.

    Raise RackwrightError if it can't be saved.
    """
    from rackwright.fleet.backup_access import kit_repositories

    remind_to_commit(context)
    if later or not kit_repositories(context.fleet):
        return
    from rackwright.cli.common.console import Console
    from rackwright.lifecycle.backup.kit import refresh

    with Console(quiet=context.json, yes=True) as console:
        failure = refresh(context.fleet, console)
    if failure:
        raise failure


def _code(pushed: Pushed) -> int:
    return ExitCode.DONE if pushed.complete else ExitCode.HOSTS_FAILED


def _hosts(pushed: Pushed) -> dict[str, Json]:
    return {"gateways": dict(pushed.gateways), "control_hosts": dict(pushed.control_hosts)}


def _document(one: ApiKey) -> dict[str, Json]:
    from rackwright.state.formats import stamp

    return {
        "id": one.id,
        "owner": one.owner,
        "models": list(one.models),
        "created": stamp(one.created),
        "expires": stamp(one.expires) if one.expires else None,
        "sha256": one.sha256,
        "requests_per_minute": one.requests_per_minute,
        "concurrency": one.concurrency,
        "tokens_per_day": one.tokens_per_day,
        "tokens_per_month": one.tokens_per_month,
        "priority": one.priority,
    }


def _row(one: ApiKey) -> tuple[str, ...]:
    from rackwright.fleet.keys_file import quotas

    expires = f"{one.expires:%Y-%m-%d}" if one.expires else "never"
    limits = [f"{one.requests_per_minute} a minute"] if one.requests_per_minute else []
    limits += [f"{one.concurrency or 'default'} at a time", *quotas(one)]
    models = ", ".join(one.models) or "all"
    return one.id, one.owner, models, ", ".join(limits), f"{one.created:%Y-%m-%d}", expires

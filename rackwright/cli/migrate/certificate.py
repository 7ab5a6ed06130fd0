"""`rackwright migrate certificate`: what a migration's end has shown, signed."""

from __future__ import annotations

from pathlib import Path

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context
from rackwright.cli.drill.options import sign_with_option, signers_option
from rackwright.errors import UsageError


@click.command(cls=Command)
@click.argument("name")
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write it. Default: FLEET.migrate-NAME.certificate.json next to the plan.",
)
@click.option(
    "--verify",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Verify the certificate in FILE, offline, and write none.",
)
@sign_with_option
@signers_option
@common_options
@pass_context
def certificate(
    context: Context, name: str, out: Path | None, verify: Path | None, sign_with: Path | None, signers: Path | None
) -> None:
    """Write a certificate of the migration's end, signed as the reports of drills are.

    It states what was exported and deleted, what the provider and the gateways have shown, what stays at the provider
    and why, what later checks have found, and what none of this proves. Writes FILE, its page in Markdown and its
    signature FILE.sig. Exit code 12 if --verify finds that something was changed.
    """
    if verify and (out or sign_with):
        raise UsageError("--verify writes nothing", should="leave out the other options")
    from rackwright.cli.render.migrate_report.certificate_page import certificate_lines

    if verify:
        from rackwright.lifecycle.drill.evidence.signers import signers_in, signers_path
        from rackwright.lifecycle.migrate.finish.certificate import verified

        checked = verified(verify, signers_in(signers or signers_path(context.path)))
        if checked.certificate.migration != name:
            raise UsageError(f"is of the migration {checked.certificate.migration}", where=str(verify))
        found = checked.certificate
        lines = (f"{verify}: signed by {found.signer}, sha256 {checked.sha256}", *certificate_lines(found))
        context.answer({"sha256": checked.sha256, "certificate": found.model_dump(mode="json")}, *lines)
        return
    _write(context, name, out, sign_with)


def _write(context: Context, name: str, out: Path | None, sign_with: Path | None) -> None:
    hosts_needed()
    from rackwright.cli.common.console import Console
    from rackwright.cli.render.migrate_report.certificate_page import certificate_lines, certificate_page
    from rackwright.lifecycle.drill.evidence.signers import keep_signers
    from rackwright.lifecycle.drill.evidence.signing_key import signing_key
    from rackwright.lifecycle.migrate.finish.certificate import certify, default_path, page_path
    from rackwright.lifecycle.migrate.finish.recheck import refuse_unended
    from rackwright.lifecycle.migrate.place import open_place
    from rackwright.lifecycle.session.session import open_session
    from rackwright.state.formats import utc_now

    with Console(quiet=context.json, yes=True) as console, open_session(context.fleet) as session:
        place = open_place(session, name, console)
        refuse_unended(place)
        now = utc_now()
        signers = keep_signers(context.fleet, now)
        key = signing_key(signers, sign_with, now)
        done = certify(place, out or default_path(place), key, signers, certificate_page)
    written = f"{done.path} and {page_path(done.path).name}: signed by {key.signer}, sha256 {done.sha256}"
    next_ = f"next: rackwright migrate certificate {name} --verify {done.path}"
    document = {
        "path": str(done.path),
        "sha256": done.sha256,
        "certificate": done.certificate.model_dump(mode="json"),
    }
    context.answer(document, *certificate_lines(done.certificate), written, next_)

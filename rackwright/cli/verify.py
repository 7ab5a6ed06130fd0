"""`rackwright verify`: the service, proven from where clients stand."""

from __future__ import annotations

from dataclasses import asdict

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context
from rackwright.errors import ExitCode


@click.command(cls=Command)
@click.option("--full", is_flag=True, help="Try each model's objectives too, under their load.")
@common_options
@pass_context
def verify(context: Context, full: bool) -> int:
    """Prove the service from where clients stand.

    A completion and a stream through each gateway under each name, a wrong key and plain HTTP refused, the
    engines' ports closed to all but gateways, each host as its baseline says. Exit code 12 when one of these
    isn't so. Its API key lives in the gateways' memory for this run only. With --full each model that has objectives
    in the fleet file is tried under the load that they name: minutes, in which clients wait with it.
    """
    hosts_needed()
    from rackwright.lifecycle.client.origin import choose_asker
    from rackwright.lifecycle.session.session import open_session
    from rackwright.lifecycle.verify.procedure import Proof
    from rackwright.lifecycle.verify.procedure import verify as prove

    def tell(proof: Proof) -> None:
        if not context.json:
            click.echo(f"{'ok  ' if proof.passed else 'FAIL'} {proof.host:<12} {proof.what}: {proof.found}")

    with open_session(context.fleet) as site:
        asker = choose_asker(site)
        if not context.json:
            click.echo(f"asked from {asker.where}")
        proofs = prove(site, asker, tell)
        if full:
            from rackwright.lifecycle.verify.acceptance import accept

            proofs += accept(site, asker, tell, context.note)
    failed = [proof for proof in proofs if not proof.passed]
    document = {
        "asked_from": asker.where,
        "proofs": [asdict(proof) for proof in proofs],
        "passed": len(proofs) - len(failed),
        "failed": len(failed),
    }
    context.answer(document, f"{len(proofs) - len(failed)} of {len(proofs)} proofs passed")
    return ExitCode.NOT_PROVEN if failed else ExitCode.DONE

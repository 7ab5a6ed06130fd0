"""`rackwright verify`: prove that the service works as clients see it."""

from __future__ import annotations

from dataclasses import asdict

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context
from rackwright.errors import ExitCode
from rackwright.terminal import echo


@click.command(cls=Command)
@click.option("--full", is_flag=True, help="Also measure each model against its objectives, under their load.")
@common_options
@pass_context
def verify(context: Context, full: bool) -> int:
    """Prove that the service works as clients see it.

    Through each gateway and under each model name, it requests a completion and a stream, or an embedding. It checks
    that a wrong key and plain HTTP are refused, that only gateways reach the engines' ports, and that each host
    matches its baseline. Exit code 12 if a check fails. Its API key exists only in the gateways' memory, for this
    run. With --full, it measures each model that has `objectives` in the fleet file under the load that they set.
    This takes minutes, and clients' requests compete with that load.
    """
    hosts_needed()
    from rackwright.lifecycle.client.origin import choose_asker
    from rackwright.lifecycle.session.session import open_session
    from rackwright.lifecycle.verify.procedure import Proof
    from rackwright.lifecycle.verify.procedure import verify as prove

    def show(proof: Proof) -> None:
        if not context.json:
            echo(f"{'ok  ' if proof.passed else 'FAIL'} {proof.host:<12} {proof.what}: {proof.found}")

    with open_session(context.fleet) as session:
        asker = choose_asker(session)
        if not context.json:
            echo(f"asked from {asker.where}")
        proofs = prove(session, asker, show)
        if full:
            from rackwright.lifecycle.verify.acceptance import accept

            proofs += accept(session, asker, show, context.note)
    failed = [proof for proof in proofs if not proof.passed]
    document = {
        "asked_from": asker.where,
        "proofs": [asdict(proof) for proof in proofs],
        "passed": len(proofs) - len(failed),
        "failed": len(failed),
    }
    context.answer(document, f"{len(proofs) - len(failed)} of {len(proofs)} proofs passed")
    return ExitCode.NOT_PROVEN if failed else ExitCode.DONE

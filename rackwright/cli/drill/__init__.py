"""`rackwright drill`: the evidence of recovery drills: verify, compare, review and sign it."""

from __future__ import annotations

import click

from rackwright.cli.common.options import Group
from rackwright.cli.drill import clean, history, review, run, seal, signers, verify


@click.group(cls=Group)
def drill() -> None:
    """Rehearse a disaster on scratch hosts, and show the evidence.

    The reports are in NAME.drills next to the fleet file NAME.yml, and those who may sign them in NAME.signers.
    """


for _command in (run.run, clean.clean, verify.verify, history.history, review.review, signers.signers, seal.seal):
    drill.add_command(_command)

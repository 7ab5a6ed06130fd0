"""`rackwright patch`: what patching would change on hosts, and patching them under traffic."""

from __future__ import annotations

import click

from rackwright.cli.common.options import Group
from rackwright.cli.patch import plan, run


@click.group(cls=Group)
def patch() -> None:
    """Plan and run the patching of hosts."""


patch.add_command(plan.plan)
patch.add_command(run.run)

"""`rackwright patch`: the packages of hosts, kernel and driver included, without planned downtime."""

from __future__ import annotations

import click

from rackwright.cli.common.options import Group
from rackwright.cli.patch import plan


@click.group(cls=Group)
def patch() -> None:
    """Show what patching hosts would change."""


patch.add_command(plan.plan)

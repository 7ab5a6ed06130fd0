"""`rackwright patch`: what patching would change on hosts, patching them under traffic, and reports of it."""

from __future__ import annotations

import click

from rackwright.cli.common.options import Group
from rackwright.cli.patch import plan, report, run


@click.group(cls=Group)
def patch() -> None:
    """Plan, run and report the patching of hosts."""


patch.add_command(plan.plan)
patch.add_command(run.run)
patch.add_command(report.report)

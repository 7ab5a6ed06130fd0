"""`rackwright schedule`: patch windows and drills that the tool carries out on a control host."""

from __future__ import annotations

import click

from rackwright.cli.common.options import Group
from rackwright.cli.schedule import list_, pause, run


@click.group(cls=Group)
def schedule() -> None:
    """Show, run, pause and resume what runs on a schedule.

    That is `patch run` in the windows of `patch.window`, and `drill run` at `drill.at`, if `unattended.on` in the
    fleet file names control hosts that have the tool.
    """


schedule.add_command(list_.list_)
schedule.add_command(run.run)
schedule.add_command(pause.pause)
schedule.add_command(pause.resume)

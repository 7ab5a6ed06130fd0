"""`rackwright backup`: make, check and list snapshots now; timers do the same automatically."""

from __future__ import annotations

import click

from rackwright.cli.backup import kit, make, show_password
from rackwright.cli.backup import list as list_
from rackwright.cli.common.options import Group


@click.group(cls=Group)
def backup() -> None:
    """Make, check and list the hosts' snapshots.

    Units on the hosts do the work. Timers start them every day and every week; these commands start them now.
    """


for _command in (make.run, make.check, kit.kit, list_.list_, show_password.password):
    backup.add_command(_command)

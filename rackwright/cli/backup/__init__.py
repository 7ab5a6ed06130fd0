"""`rackwright backup`: make, check, list and forget snapshots now; timers make and check them, too."""

from __future__ import annotations

import click

from rackwright.cli.backup import forget, make, show_password
from rackwright.cli.backup import list as list_
from rackwright.cli.common.options import Group


@click.group(cls=Group)
def backup() -> None:
    """Make, check and list the hosts' snapshots.

    Units on the hosts do the work. Timers start them every day and every week; these commands start them now.
    """


for _command in (make.run, make.check, list_.list_, forget.forget, show_password.password):
    backup.add_command(_command)

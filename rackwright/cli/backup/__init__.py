"""`rackwright backup`: make, check, list, read and forget snapshots; timers make and check them automatically."""

from __future__ import annotations

import click

from rackwright.cli.backup import forget, get, kit, make, show, show_password
from rackwright.cli.backup import list as list_
from rackwright.cli.common.options import Group


@click.group(cls=Group)
def backup() -> None:
    """Make, check, list and read the hosts' snapshots, and save the kit.

    Units on the hosts make and check snapshots. Timers start these every day and every week; `run` and `check` start
    them now. To restore a host, use `rackwright restore`.
    """


for _command in (
    make.run,
    make.check,
    kit.kit,
    list_.list_,
    show.show,
    get.get,
    forget.forget,
    show_password.password,
):
    backup.add_command(_command)

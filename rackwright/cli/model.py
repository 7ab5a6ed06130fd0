"""temporary"""

import click

from rackwright.cli.model_update import rollback, update
from rackwright.cli.options import Group


@click.group(cls=Group)
def model() -> None:
    """Show, update, roll back and prune models."""


model.add_command(update)
model.add_command(rollback)

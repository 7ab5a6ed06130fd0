"""`rackwright migrate`: move from a provider's API to the fleet, based on recorded requests and measurements."""

from __future__ import annotations

import click

from rackwright.cli.common.options import Group
from rackwright.cli.migrate import (
    assess,
    capacity,
    capture,
    certificate,
    cost,
    cutover,
    erase,
    export,
    finish,
    import_,
    init,
    ledger,
    recheck,
    replay,
    report,
    review,
    rollback,
    score,
    shadow,
    status,
)


@click.group(cls=Group)
def migrate() -> None:
    """Move from a cloud's API to the fleet.

    The plan of the migration NAME is FLEET.migrate-NAME.yml next to the fleet file FLEET.yml. Its log and its results
    are on the control hosts; recorded requests and answers are encrypted, in a folder next to the plan.
    """


for _command in (
    init.init,
    status.status,
    capture.capture,
    import_.import_,
    erase.erase,
    assess.assess,
    replay.replay,
    score.score,
    capacity.capacity,
    cost.cost,
    ledger.ledger,
    export.export,
    report.report,
    shadow.shadow,
    cutover.cutover,
    rollback.pause,
    cutover.resume,
    rollback.rollback,
    review.review,
    finish.finish,
    certificate.certificate,
    recheck.recheck,
):
    migrate.add_command(_command)

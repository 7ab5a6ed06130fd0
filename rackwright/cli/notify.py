"""`rackwright notify`: try the receivers that the fleet file names."""

from __future__ import annotations

import click

from rackwright.cli.common.context import Context
from rackwright.cli.common.options import Group, common_options, pass_context
from rackwright.errors import together


@click.group(cls=Group)
def notify() -> None:
    """Test who hears of patch runs and drills.

    The receivers are webhooks and mail addresses under `notify` in the fleet file. They hear when a patch run or a
    drill starts, ends and fails.
    """


@notify.command()
@common_options
@pass_context
def test(context: Context) -> None:
    """Send a test notice to every receiver. Exit code 1 if one doesn't have it.

    Asks no host. Each receiver gets the notice, whatever its `events` are.
    """
    from rackwright.cli.render.undelivered_document import undelivered_documents
    from rackwright.lifecycle.notify.procedure import notify_test

    deliveries = notify_test(context.fleet)
    failures = [one.failure for one in deliveries if one.failure]
    reached = [one.channel.name for one in deliveries if not one.failure]
    lines = [f"{name}: has the test notice" for name in reached] or ["no receiver has the test notice"]
    context.answer({"reached": reached, "not_notified": undelivered_documents(failures)}, *lines)
    if failures:
        raise together(failures)

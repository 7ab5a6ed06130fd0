"""`rackwright bench`: put load on a model's service and measure it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context, Json, hosts_needed
from rackwright.cli.common.html_page import html_option, write_page
from rackwright.cli.common.options import Command, common_options, pass_context
from rackwright.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from rackwright.lifecycle.bench import Benched, Wanted
    from rackwright.lifecycle.bench.compare import Comparison

_COUNT = click.IntRange(1, 1_000_000)


@click.command(cls=Command)
@click.argument("model")
@click.option(
    "--replica", metavar="HOST/MODEL@N", help="Measure only this replica, over SSH, instead of the gateway."
)
@click.option("--rate", type=click.FloatRange(0, 10_000, min_open=True), help="Requests per second.")
@click.option("--requests", type=_COUNT, help="How many requests to send.")
@click.option(
    "--seconds",
    type=click.FloatRange(0, 86_400, min_open=True),
    help="For how many seconds to send requests, instead of --requests.",
)
@click.option("--prompt-tokens", type=_COUNT, help="Approximate length of each prompt.")
@click.option("--answer-tokens", type=_COUNT, help="Length of each answer.")
@click.option("--knee", is_flag=True, help="Raise the rate until objectives are missed or throughput stops growing.")
@click.option(
    "--compare",
    "compared",
    is_flag=True,
    help="Compare with the last measurement of other weights or another runtime.",
)
@click.option("--history", is_flag=True, help="List the model's earlier measurements; measure nothing.")
@html_option("the result")
@common_options
@pass_context
def bench(
    context: Context,
    model: str,
    replica: str | None,
    rate: float | None,
    requests: int | None,
    seconds: float | None,
    prompt_tokens: int | None,
    answer_tokens: int | None,
    knee: bool,
    compared: bool,
    history: bool,
    html: Path | None,
) -> int:
    """Put a constant load on a model's service and measure it.

    Options that you omit are taken from the model's `objectives` in the fleet file. The control host keeps the
    figures. Clients' requests compete with this load. Exit code 12 if an objective is missed or nothing was answered.
    """
    if requests is not None and seconds is not None:
        raise UsageError("--requests and --seconds both set how long to measure", should="give one of them")
    hosts_needed()
    if history:
        return _history(context, model)
    from rackwright.lifecycle.bench import Wanted, load_of, model_named

    load = load_of(
        model_named(context.fleet, model),
        rate=rate,
        requests=requests,
        seconds=seconds,
        prompt_tokens=prompt_tokens,
        answer_tokens=answer_tokens,
    )
    return _answer(context, _measured(context, Wanted(model, load, replica, knee)), compared=compared, html=html)


def _measured(context: Context, wanted: Wanted) -> Benched:
    from rackwright.cli.render.bench_text import sent_briefly
    from rackwright.lifecycle.bench import Listener
    from rackwright.lifecycle.bench import bench as measure
    from rackwright.lifecycle.client.origin import choose_asker
    from rackwright.lifecycle.session.session import open_session

    with open_session(context.fleet) as session:
        listener = Listener(step=lambda step: context.note(sent_briefly(step)), say=context.note)
        return measure(session, choose_asker(session), wanted, listener)


def _answer(context: Context, found: Benched, *, compared: bool, html: Path | None) -> int:
    from rackwright.cli.render.bench_text import as_text
    from rackwright.lifecycle.bench.compare import compare

    comparison = compare(found.bench, found.earlier) if compared else None
    if compared and comparison is None:
        context.note("there is no earlier measurement to compare with")
    context.answer(_document(found, comparison), *as_text(found, comparison))
    if html:
        from rackwright.cli.render.bench_html import as_html

        objectives = context.fleet.file.models[found.bench.model].objectives
        write_page(context, html, as_html(found, comparison, objectives))
    return ExitCode.DONE if found.met else ExitCode.NOT_PROVEN


def _document(found: Benched, comparison: Comparison | None) -> dict[str, Json]:
    return {
        "bench": found.bench.model_dump(mode="json"),
        "objectives": [asdict(verdict) for verdict in found.verdicts],
        "met": found.met,
        "comparison": _comparison(comparison) if comparison else None,
    }


def _comparison(comparison: Comparison) -> dict[str, Json]:
    return {
        "run": comparison.earlier.run,
        "unlike": comparison.unlike,
        "differences": [asdict(difference) for difference in comparison.differences],
    }


def _history(context: Context, model: str) -> int:
    from rackwright.cli.render.bench_text import history
    from rackwright.lifecycle.bench import model_named
    from rackwright.lifecycle.session.lease import control_store
    from rackwright.state.bench import read_benches

    model_named(context.fleet, model)
    with control_store(context.fleet) as (store, _):
        kept = read_benches(store, model)
    context.answer({"benches": [bench.model_dump(mode="json") for bench in kept]}, *history(kept))
    return ExitCode.DONE

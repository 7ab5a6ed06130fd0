"""A Run as the JSON document of --json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rackwright.report.words import hosts_of
from rackwright.run import Run, Step

Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]


def document(run: Run) -> dict[str, Json]:
    """Return the totals, the totals per host, every step, and the unreachable hosts with the reason."""
    return {
        "totals": _counts(run),
        "hosts": {host: _counts(run, host) for host in hosts_of(run)},
        "steps": [_step(step) for step in run.steps],
        "unreachable": dict(run.unreachable),
        "failed_hosts": list(run.failed_hosts),
        "interrupted": run.interrupted,
    }


def _counts(run: Run, host: str | None = None) -> dict[str, Json]:
    return dict(asdict(run.totals(host)))


def _step(step: Step) -> dict[str, Json]:
    return {
        "host": step.host,
        "role": step.role,
        "operation": step.operation,
        "outcome": step.outcome.value,
        "seconds": round(step.seconds, 3),
        "diff": step.diff,
        "output": list(step.output),
        "note": step.note,
    }

"""Applies a slow deploy as the command line does: patched by gevent, in its own process.

Arguments: for each host NAME ADDRESS USER KEY KNOWN_HOSTS. Prints `started NAME OPERATION` lines, then one line of
JSON.
"""

# ruff: noqa: E402

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import json
import sys
from pathlib import Path

from pyinfra.api.deploy import deploy
from pyinfra.operations import files, server

from rackwright.remote import Remote
from rackwright.runner import Progress, Runner
from rackwright.stopping import stoppable
from rackwright.values.targets import Target


@deploy("slow")
def slow() -> None:
    files.file(name="First", path="/root/engine-first")
    server.shell(name="Wait", commands=["sleep 2"])
    server.shell(name="Last", commands=["touch /root/engine-last"])


def tell(news: Progress) -> None:
    if news.step is None:
        print("started", news.host, news.operation, flush=True)


def main(words: list[str]) -> None:
    targets = [
        Target(name, address, user=user, key=Path(key), known_hosts=Path(pins))
        for name, address, user, key, pins in zip(*[iter(words)] * 5, strict=True)
    ]
    with Remote(targets) as remote, stoppable() as stopping:
        hosts = {target.name: None for target in targets}
        run = Runner(remote, on_step=tell).apply(slow, hosts, stopping=stopping)
        print(
            json.dumps(
                {
                    "interrupted": run.interrupted,
                    "steps": {f"{step.host} {step.operation}": step.outcome for step in run.steps},
                    "output": {step.host: step.output for step in run.steps if step.output},
                }
            )
        )


main(sys.argv[1:])

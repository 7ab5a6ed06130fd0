"""A migration plan to start from, with what the fleet file says. What only the operator knows has no value yet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from rackwright.fleet.fleet import Fleet
from rackwright.migrate.plan.plan_rules import cloud_names

_PLAN = """\
# What this migration intends, and which measurements decide it. Keys without a value are yours to fill in.
# `rackwright schema --migration` prints the JSON Schema of this file, for editors.
format: migration-plan/1
migration: {migration}
intent:                      # why, in one line; reports show it

cloud: {cloud}{others}
models:                      # the provider's model: the fleet's model that should answer in its place
{models}

records:                     # recorded requests and answers, encrypted with age before they are written
  recipient: {recipient}
  identity: {identity}
  # folder: …                # where they are; if absent, a folder next to this file, named like it
  # redact:                  # more kinds of text to replace before anything is written
  #   ticket: "TCK-[0-9]{{6}}"

capture:                     # the sample that the gateways record
  share: 10                  # percent of the requests
  duration: 7d               # when it ends on its own
  size: 1G                   # the most on each gateway
  request: 1M                # larger requests aren't recorded

replay:
  sample: 500                # the most requests that are asked again
  concurrency: 4             # at a time, to each side
  budget:                    # what the provider may charge for all replays and scores, in `currency`
  # hours: ["daily 20:00-06:00"]

score:
  margin: 5                  # points by which the fleet's answers may be worse than the cloud's
  least: 40                  # the fewest pairs for a verdict on a segment
  # golden: golden.jsonl     # your golden set; both sides answer it, too
  # judge: {judge:<12} # a model of the fleet that compares answers without another check

capacity:
  headroom: 30               # percent of each replica that stays free at the busiest time
  spare: 1                   # replicas that may be down at that time

cutover:
  share: [1, 5, 25, 50, 100] # percent of new conversations that the fleet gets, step by step
  min_duration: 1d           # of each step
  min_requests: 200          # of the fleet, in each step
  max_duration: 7d           # a step without a clear verdict pauses then
  conversation: 2h           # how long after its last request a conversation may go on

# finish:                    # when the migration may end
#   quiet: 14d               # for how long the cloud must have had no request
#   recheck: 30d             # how long after the end the provider is asked again

currency:                    # like EUR
prices:                      # what the provider charges per million tokens
{prices}
# costs:                     # what the fleet costs; `migrate cost` needs it
#   capital: 60000           # hardware
#   months: 36               # over which it is written off
#   kilowatts: 1.2           # mean power, cooling included
#   kilowatt_hour: 0.30
#   staff: 1500              # per month
#   hosting: 0               # per month

waivers: {{}}                  # a feature that the fleet lacks: why clients can do without it
"""


def new_plan(fleet: Fleet, migration: str, *, recipient: str = "", identity: str = "") -> str:
    """Return the text of a plan for the fleet's first cloud, and for the names that it answers."""
    clouds = tuple(fleet.file.clouds)
    cloud = clouds[0] if clouds else ""
    models = dict(_models(fleet, cloud))
    width = max(map(len, models), default=0)
    text = _PLAN.format(
        migration=migration,
        cloud=cloud,
        others=f"{' ' * max(1, 21 - len(cloud))} # or {', '.join(clouds[1:])}" if clouds[1:] else "",
        models="\n".join(f"  {name + ':':<{width + 1}} {model}".rstrip() for name, model in models.items())
        or "  # …",
        recipient=recipient or "               # its public key: age1…",
        identity=json.dumps(identity, ensure_ascii=False)
        if identity
        else '                # its private key: "cmd:pass show migration"',
        judge=next(iter(fleet.file.models), "MODEL"),
        prices="\n".join(f"  {name + ':':<{width + 1}} {{input: , output: }}" for name in models) or "  # …",
    )
    return "\n".join(line.rstrip() for line in text.split("\n"))


def _models(fleet: Fleet, cloud: str) -> Iterator[tuple[str, str]]:
    """Yield each of the provider's models with the fleet's model that clients get under this name."""
    served = _served(fleet)
    only = tuple(fleet.file.routed)
    for name in cloud_names(fleet, cloud) or ():
        yield name, served.get(name, only[0] if len(only) == 1 else "")


def _served(fleet: Fleet) -> Mapping[str, str]:
    return {name: model for model, said in fleet.file.routed.items() for name in said.served}

"""What clients can ask of each model, and teams that have no keys."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.keys_file import read_keys
from rackwright.lifecycle.check.result import Condition, State


def paths_of_models(fleet: Fleet) -> Iterator[Condition]:
    """Yield which paths the locked runtime of each model serves."""
    for name, model in fleet.file.models.items():
        paths = ", ".join(sorted(model.runtime.apis(model.task)))
        found = f"{name}, {model.runtime.kind} {model.runtime.version}: {paths}"
        yield Condition("controller", "paths", State.OK, found)


def teams_without_keys(fleet: Fleet) -> Iterator[Condition]:
    """Yield a warning for each team whose name no key's owner has: its quotas and its priority have no effect."""
    owners = {key.owner for key in read_keys(fleet.sibling("keys.yml"))}
    for name in fleet.file.teams:
        if name not in owners:
            found = f"teams.{name}: no key has this owner, so its quotas and its priority have no effect"
            following = f"rackwright key add ID --owner {name}, or remove the team"
            yield Condition("controller", "teams", State.WARNING, found, following)

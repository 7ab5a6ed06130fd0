"""The fleet file without the cloud: what of it goes, and how it is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rackwright.errors import FleetError, Problem, RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.load import load_fleet
from rackwright.fleet.reading.without_keys import without
from rackwright.fleet.yaml_file import replace_file
from rackwright.migrate.plan.plan import Plan


@dataclass(frozen=True)
class FleetEdit:
    """What has to go from the fleet file and from the files that it extends."""

    fleet: Fleet
    cloud: str
    moved: tuple[str, ...]
    """The fleet's models that the plan moves."""
    keys: tuple[str, ...]
    """Like models.assistant.cloud; empty: the fleet file doesn't have the cloud any more."""
    texts: Mapping[Path, str]
    """File → its text without them."""
    others: tuple[str, ...]
    """Models that the cloud still answers: then it stays in `clouds`."""

    def write(self) -> Fleet:
        """Write the files; return the fleet without the cloud.

        Raise FleetError, with every file as it was, if that fleet isn't valid or still has one of the keys.
        """
        before = {path: path.read_text() for path in self.texts}
        try:
            for path, text in self.texts.items():
                _write(path, text)
            fleet = load_fleet(self.fleet.path)
            if left := _keys(fleet, self.cloud, self.moved):
                raise FleetError([Problem(str(fleet.path), f"still has {', '.join(map('.'.join, left))}")])
        except RackwrightError as error:
            for path, text in before.items():
                _write(path, text)
            raise error.with_problems(
                [Problem(str(self.fleet.path), "was not changed", f"remove {', '.join(self.keys)} yourself")]
            ) from None
        return fleet


def fleet_edit(fleet: Fleet, plan: Plan) -> FleetEdit:
    """Return what of the fleet file goes when the plan's models leave the cloud. It changes nothing."""
    moved = tuple(dict.fromkeys(plan.models.values()))
    keys = _keys(fleet, plan.cloud, moved)
    texts = {}
    for path in fleet.sources if keys else ():
        before = path.read_text()
        after = without(before, keys)
        if after != before:
            texts[path] = after
    others = tuple(_others(fleet, plan.cloud, moved))
    return FleetEdit(fleet, plan.cloud, moved, tuple(map(".".join, keys)), texts, others)


def _keys(fleet: Fleet, cloud: str, moved: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    models = fleet.file.models
    found: list[tuple[str, ...]] = [
        ("models", name, "cloud") for name in moved if name in models and models[name].cloud == cloud
    ]
    if cloud in fleet.file.clouds and not any(_others(fleet, cloud, moved)):
        found.append(("clouds", cloud))
    return tuple(found)


def _others(fleet: Fleet, cloud: str, moved: tuple[str, ...]) -> Iterator[str]:
    yield from (name for name, model in fleet.file.routed.items() if model.cloud == cloud and name not in moved)


def _write(path: Path, text: str) -> None:
    try:
        replace_file(path, text.encode(), mode=path.stat().st_mode & 0o777)
    except OSError as error:
        raise RackwrightError(f"can't be written: {error.strerror}", where=str(path)) from None

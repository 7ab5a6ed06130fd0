from __future__ import annotations

import re
from pathlib import Path
from types import UnionType
from typing import get_args

import pytest
from pydantic import BaseModel

from rackwright.fleet.fleet_file import FleetFile
from rackwright.fleet.load import load_fleet
from rackwright.fleet.sections.hosts import Group

EXAMPLE = Path(__file__).parents[2] / "inventory" / "example.yml"


def models(kind) -> set[type[BaseModel]]:
    """Return a type's models: the type itself and all models nested in it."""
    if isinstance(kind, type) and not isinstance(kind, UnionType) and issubclass(kind, BaseModel):
        below = [models(field.annotation) for field in kind.model_fields.values()]
        return {kind}.union(*below)
    return set().union(*(models(part) for part in get_args(kind)))


FIELDS = sorted(
    {
        (model.__module__.rsplit(".", 2)[-2], model.__name__, field.alias or name)
        for model in models(FleetFile) | {Group}
        for name, field in model.model_fields.items()
    }
)


def keys() -> list[str]:
    """Return every key of the example, including those in options that are commented out."""
    return re.findall(r"^[ #]*(?:- )?\{?([a-z0-9_]+):(?: |$)", EXAMPLE.read_text(), re.MULTILINE)


def test_loads_without_a_problem():
    fleet = load_fleet(EXAMPLE)
    assert [replica.address for replica in fleet.replicas] == [
        "gpu1/assistant@1",
        "gpu1/assistant@2",
        "gpu2/assistant@1",
        "gpu2/assistant@2",
    ]


@pytest.mark.parametrize(("folder", "model", "field"), FIELDS)
def test_shows_every_option(folder, model, field):
    assert field in keys()


def test_the_options_are_all_there():
    assert {"gpus", "from", "max_unavailable", "hub_token", "parallel"} <= {field for _, _, field in FIELDS}


@pytest.mark.parametrize("key", ["extends", "defaults"])
def test_shows_what_is_read_before_the_model(key):
    assert key in keys()


def test_every_option_has_a_comment_where_it_first_stands():
    bare, seen = [], set()
    for line in EXAMPLE.read_text().splitlines():
        match = re.match(r"[ #]*(?:- )?([a-z_]+):(.*)", line)
        if match and match[1] not in seen:
            seen.add(match[1])
            bare += [] if re.search(r"(^| )# \w", match[2]) else [match[1]]
    assert len(seen) > 40
    assert bare == []


def test_the_package_has_the_same_example():
    assert (EXAMPLE.parents[1] / "rackwright" / "example.yml").read_bytes() == EXAMPLE.read_bytes()

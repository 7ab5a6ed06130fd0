"""Licenses of models and adapters: from the model card or the fleet file, and which ones the fleet file allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from rackwright.errors import FleetError, Problem
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import ModelLock, SourceLock
from rackwright.fleet.sections.licenses import License, is_allowed
from rackwright.fleet.source import HubSource, parse_source

if TYPE_CHECKING:
    from rackwright.resolve.hub_answer import Card

_NO_WORD = ("other", "unknown")
"""Ids that don't name a license: https://huggingface.co/docs/hub/repositories-licenses."""


def license_of_card(card: Card | None) -> str | None:
    """Return the licenses that a model card names, separated by commas, or None if it names none."""
    if card is None:
        return None
    several = card.license if isinstance(card.license, list) else [card.license]
    found = [card.license_name if one == "other" else one for one in several]
    return ", ".join(map(_license, found)) if found and all(map(_names_one, found)) else None


def agreed(card: str | None, said: str | None, *, source: str, where: str) -> str | None:
    """Return the license from the card, else from the fleet file, or None if neither has one.

    Raise FleetError if they differ.
    """
    if card and said and card != said:
        what = f"is {said}, but the model card of {source} says {card}"
        raise FleetError([Problem(f"{where}.license", what, "remove this key: the model card takes precedence")])
    return card or said


def refused_licenses(fleet: Fleet, models: Mapping[str, ModelLock]) -> Iterator[Problem]:
    """Yield a problem for each model and adapter whose license isn't known or isn't allowed by the fleet file."""
    for name, model in models.items():
        place = f"models.{name}"
        yield from _refused(fleet, model, f"{place}.source", place)
        for served, adapter in model.adapters.items():
            yield from _refused(fleet, adapter, f"{place}.runtime.adapters.{served}", place)


def _refused(fleet: Fleet, locked: SourceLock, place: str, model: str) -> Iterator[Problem]:
    if is_allowed(locked.license, fleet.file.licenses):
        return
    if locked.license is None:
        what, should = f"the license of {locked.source} is unknown: {_why(fleet, locked)}", f"write {model}.license"
    else:
        # A license in the fleet file itself is always an allowed one: see rules.py.
        what = f"{locked.source} has the license {locked.license}, according to {_card_of(fleet)}"
        should = f"licenses allows {', '.join(fleet.file.licenses)}; add this license there"
    yield Problem(f"{fleet.path} {place}", what, f"{should}, or choose another source", "rackwright lock")


def _why(fleet: Fleet, locked: SourceLock) -> str:
    if isinstance(parse_source(locked.source), HubSource):
        return f"{_card_of(fleet)} names no license"
    return "such a source has no model card"


def _card_of(fleet: Fleet) -> str:
    return f"its model card at {fleet.file.downloads.hub}"


def _names_one(word: object) -> bool:
    try:
        return _license(word) not in _NO_WORD
    except ValidationError:
        return False


def _license(word: object) -> str:
    return _any_license().validate_python(word, strict=True)


@cache
def _any_license() -> TypeAdapter[str]:
    return TypeAdapter(License)

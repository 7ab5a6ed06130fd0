"""JSON Schema on what a model answered: nothing is fetched, and no pattern runs for ever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import JsonValue

from rackwright.fleet.json_schema import Json

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

PATTERN_SECONDS = 1.0
"""For one text of an answer."""


def allows(schema: Json, answer: JsonValue) -> str | None:
    """Return None if the schema allows the answer, else which part of the schema doesn't. Nothing is raised."""
    from jsonschema.exceptions import best_match

    try:
        error = best_match(_validator(schema).iter_errors(answer))
    except RecursionError:
        return "is nested too deep"
    except OverflowError:
        return "has a number beyond all bounds"
    except TimeoutError:
        return f"a pattern of its schema took longer than {PATTERN_SECONDS:g} s"
    return f"breaks {'/'.join(map(str, error.absolute_schema_path))} of its schema" if error else None


def _validator(schema: Json) -> Validator:
    from jsonschema import Draft202012Validator, validators
    from referencing import Registry

    drafted = validators.validator_for(schema, default=Draft202012Validator)
    made: type[Validator] = validators.extend(drafted, {"pattern": _pattern})  # type: ignore[no-untyped-call]
    return made(schema, registry=Registry())


def _pattern(validator: Validator, pattern: str, answer: object, schema: Json) -> Iterator[ValidationError]:
    """Stands in for jsonschema's own, which knows no limit of time."""
    import regex
    from jsonschema import ValidationError

    del validator, schema
    if isinstance(answer, str) and not regex.search(pattern, answer, timeout=PATTERN_SECONDS):
        yield ValidationError("doesn't match")

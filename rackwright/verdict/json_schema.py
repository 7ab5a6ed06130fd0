"""Check a model's answer against a JSON Schema, without fetching anything and with a time limit for patterns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import JsonValue

from rackwright.fleet.golden import json_schema
from rackwright.fleet.golden.json_schema import Json

if TYPE_CHECKING:
    from jsonschema.protocols import Validator


def allows(schema: Json, answer: JsonValue) -> str | None:
    """Return None if the schema allows the answer, or which part of the schema doesn't. Never raises."""
    return breaks(json_schema.validator_of(schema), answer)


def breaks(validator: Validator, answer: JsonValue) -> str | None:
    """Return None if the validator's schema allows the answer, or which part of it doesn't. Never raises."""
    try:
        error = json_schema.breach(validator, answer)
    except RecursionError:
        return "is nested too deeply"
    except OverflowError:
        return "contains a number that is too large"
    except TimeoutError:
        return f"a pattern of its schema took longer than {json_schema.PATTERN_SECONDS:g} s"
    except Exception as raised:
        # The schema was tested when it was read. An answer that causes another error must not end a rollout.
        return f"can't be checked against its schema ({type(raised).__name__})"
    return f"violates {'/'.join(map(str, error.absolute_schema_path))} of its schema" if error else None

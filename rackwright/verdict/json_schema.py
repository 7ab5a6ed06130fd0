"""JSON Schema on what a model answered: nothing is fetched, and no pattern runs for ever."""

from __future__ import annotations

from pydantic import JsonValue

from rackwright.fleet.golden import json_schema
from rackwright.fleet.golden.json_schema import Json


def allows(schema: Json, answer: JsonValue) -> str | None:
    """Return None if the schema allows the answer, else which part of the schema doesn't. Nothing is raised."""
    try:
        error = json_schema.breach(json_schema.validator_of(schema), answer)
    except RecursionError:
        return "is nested too deep"
    except OverflowError:
        return "has a number beyond all bounds"
    except TimeoutError:
        return f"a pattern of its schema took longer than {json_schema.PATTERN_SECONDS:g} s"
    except Exception as raised:
        # The schema was tried when it was read; whatever an answer still brings to light must not end a rollout.
        return f"can't be held against its schema ({type(raised).__name__})"
    return f"breaks {'/'.join(map(str, error.absolute_schema_path))} of its schema" if error else None

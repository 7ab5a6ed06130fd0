"""JSON Schemas and regular expressions that an operator writes, as types: checked before they are used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import AfterValidator, JsonValue, StringConstraints

Json = Mapping[str, JsonValue]
TRIAL_SECONDS = 1.0
"""Of an expression on no text at all, before a model's answers are tried."""


def check_schema(schema: Json) -> Json:
    """Raise ValueError if it is no JSON Schema, or refers to what doesn't stand in it: nothing is ever fetched."""
    from jsonschema import Draft202012Validator, SchemaError
    from jsonschema.validators import validator_for
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    draft = schema.get("$schema", Draft202012Validator.META_SCHEMA["$schema"])
    if not isinstance(draft, str) or draft.rstrip("#") not in _drafts():
        raise ValueError(f"is of a draft that isn't known; $schema should be one of {', '.join(_drafts())}")
    try:
        validator_for(schema, default=Draft202012Validator).check_schema(dict(schema))
    except SchemaError as error:
        raise ValueError(f"is no JSON Schema: {error.json_path}: {error.message[:200]}") from None
    resolver = Registry().with_resource("", DRAFT202012.create_resource(schema)).resolver()
    for key, text in _texts(schema):
        if key == "pattern":
            check_regex(text)
        if key in ("$ref", "$dynamicRef"):
            try:
                resolver.lookup(text)
            except Unresolvable:
                raise ValueError(f"refers to {text}, which doesn't stand in it") from None
    return schema


def _drafts() -> tuple[str, ...]:
    from jsonschema import validators

    known = (validators.Draft202012Validator, validators.Draft201909Validator, validators.Draft7Validator)
    return tuple(str(draft.META_SCHEMA["$schema"]).rstrip("#") for draft in known)


def check_regex(text: str) -> str:
    """Raise ValueError if it is no regular expression, or can't even be tried on a short text."""
    import regex

    try:
        expression = regex.compile(text)
        for tried in ("", "a"):
            expression.search(tried, timeout=TRIAL_SECONDS)
    except regex.error as error:
        raise ValueError(f"is no regular expression: {error}") from None
    except RecursionError:
        raise ValueError("is nested too deep for a regular expression") from None
    except (TimeoutError, MemoryError):
        raise ValueError("is a regular expression that doesn't end on the text 'a'") from None
    return text


def _texts(part: JsonValue | Json) -> Iterator[tuple[str, str]]:
    """Yield every key that has a text, at or below a part of a JSON Schema."""
    if isinstance(part, Mapping):
        for key, below in part.items():
            if isinstance(below, str):
                yield key, below
            yield from _texts(below)
    elif isinstance(part, list):
        for below in part:
            yield from _texts(below)


Expression = Annotated[str, StringConstraints(min_length=1), AfterValidator(check_regex)]
Schema = Annotated[Json, AfterValidator(check_schema)]

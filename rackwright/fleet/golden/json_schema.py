"""Types for JSON Schemas and regular expressions that operators write; they are checked before use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, JsonValue, StringConstraints

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

    Keyword = Callable[[Validator, str, object, "Json"], Iterator[ValidationError] | None]

Json = Mapping[str, JsonValue]
PATTERN_SECONDS = 1.0
"""The time limit for one text: with backtracking, an expression could take years on a long text."""
DEEPEST = 64
"""The longest chain of references: for each, jsonschema uses about ten of Python's thousand stack frames."""
_REFERENCES = {"$ref", "$dynamicRef", "$recursiveRef"}
_TRIED: tuple[JsonValue, ...] = (None, True, 0, "", "a", [], {})


def check_schema(schema: Json) -> Json:
    """Raise ValueError if it isn't a JSON Schema, has a reference to outside of it, or can't be evaluated.

    Schemas are never fetched, and the whole schema must use one draft.
    """
    draft = schema.get("$schema", _drafts()[0])
    if not isinstance(draft, str) or draft.rstrip("#") not in _drafts():
        raise ValueError(f"uses an unknown draft; $schema should be one of {', '.join(_drafts())}")
    _check_form(schema, schema)
    _check_keywords(schema)
    _check_references(schema, draft)
    _try(schema)
    return schema


def validator_of(schema: Json) -> Validator:
    """Return a validator for a checked schema."""
    from jsonschema import Draft202012Validator, validators
    from referencing import Registry

    drafted = validators.validator_for(schema, default=Draft202012Validator)
    references = {key: own for key, own in drafted.VALIDATORS.items() if key in _REFERENCES}
    ours = _counted(references) | {"pattern": _pattern}
    made: type[Validator] = validators.extend(drafted, ours)  # type: ignore[no-untyped-call]
    # If a reference points to the whole schema, jsonschema would continue with its own class for this $schema.
    return made({key: below for key, below in schema.items() if key != "$schema"}, registry=Registry())


def breach(validator: Validator, value: JsonValue) -> ValidationError | None:
    """Return the error that best explains why the value isn't valid; None if it is valid.

    Raise RecursionError if references are nested too deeply, TimeoutError if a pattern takes too long.
    """
    from jsonschema.exceptions import best_match

    try:
        found: ValidationError | None = best_match(validator.iter_errors(value))
    except BaseException as raised:
        # A stack overflow in jsonschema's Rust code is a panic. Its type can't be imported and isn't an Exception.
        if type(raised).__name__ == "PanicException":
            raise RecursionError from None
        raise
    return found


def check_regex(text: str) -> str:
    """Raise ValueError if it isn't a regular expression, or fails even on a short text."""
    import regex

    try:
        expression = regex.compile(text)
        for tried in ("", "a"):
            expression.search(tried, timeout=PATTERN_SECONDS)
    except regex.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    except RecursionError:
        raise ValueError("is nested too deeply for a regular expression") from None
    except (TimeoutError, MemoryError):
        raise ValueError("is a regular expression that doesn't finish on the text 'a'") from None
    return text


def _drafts() -> tuple[str, ...]:
    from jsonschema import validators

    known = (validators.Draft202012Validator, validators.Draft201909Validator, validators.Draft7Validator)
    return tuple(str(draft.META_SCHEMA["$schema"]).rstrip("#") for draft in known)


def _check_form(schema: Json, part: Json) -> None:
    """Raise ValueError if a part of a schema isn't valid in the draft of the whole schema."""
    from jsonschema import Draft202012Validator, SchemaError
    from jsonschema.validators import validator_for

    try:
        validator_for(schema, default=Draft202012Validator).check_schema(dict(part))
    except SchemaError as error:
        raise ValueError(f"is not a JSON Schema: {error.json_path}: {error.message[:200]}") from None
    except (RecursionError, OverflowError):
        raise ValueError("has an expression that is nested too deeply or repeats too often") from None


def _check_keywords(schema: Json) -> None:
    for part in _objects(schema):
        if "patternProperties" in part:
            # jsonschema matches them without a time limit, against keys that a model has chosen.
            raise ValueError("has patternProperties; should list properties, or restrict them with propertyNames")
        for key in ("$id", "$schema"):
            if part is not schema and isinstance(part.get(key), str):
                raise ValueError(f"has {key} in a subschema; should have it at the top level only")
        if isinstance(pattern := part.get("pattern"), str):
            check_regex(pattern)


def _check_references(schema: Json, draft: str) -> None:
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import specification_with

    resource = specification_with(draft).create_resource(schema)
    resolver = Registry().with_resource("", resource).resolver()
    for text in (part[key] for part in _objects(schema) for key in ("$ref", "$dynamicRef") if key in part):
        if not isinstance(text, str):
            continue
        try:
            found = resolver.lookup(text).contents
        except (Unresolvable, ValueError, TypeError):
            raise ValueError(f"refers to {text}, which is not in it") from None
        if isinstance(found, Mapping):
            _check_form(schema, found)
        elif not isinstance(found, bool):
            raise ValueError(f"refers to {text}, which is not a schema")


def _try(schema: Json) -> None:
    """Raise ValueError for errors that only show in use, such as references that refer to each other forever."""
    validator = validator_of(schema)
    for value in _TRIED:
        try:
            breach(validator, value)
        except RecursionError:
            raise ValueError("refers to itself endlessly") from None
        except Exception as error:
            raise ValueError(f"can't be evaluated for {value!r} ({type(error).__name__})") from None


def _objects(part: JsonValue | Json) -> Iterator[Json]:
    """Yield every object at or below a part of a JSON Schema."""
    if isinstance(part, Mapping):
        yield part
    if isinstance(part, Mapping | list):
        for below in part.values() if isinstance(part, Mapping) else part:
            yield from _objects(below)


def _counted(keywords: Mapping[str, Keyword]) -> dict[str, Keyword]:
    """Return the keywords, changed to follow chains of references only up to DEEPEST."""
    deep = 0

    def counted(own: Keyword, validator: Validator, to: str, value: object, part: Json) -> Iterator[ValidationError]:
        nonlocal deep
        deep += 1
        try:
            if deep > DEEPEST:
                raise RecursionError
            yield from own(validator, to, value, part) or ()
        finally:
            deep -= 1

    return {key: partial(counted, own) for key, own in keywords.items()}


def _pattern(validator: Validator, pattern: str, answer: object, schema: Json) -> Iterator[ValidationError]:
    """Replaces jsonschema's own keyword, which has no time limit."""
    import regex
    from jsonschema import ValidationError

    del validator, schema
    if isinstance(answer, str) and not regex.search(pattern, answer, timeout=PATTERN_SECONDS):
        yield ValidationError("doesn't match")


Expression = Annotated[str, StringConstraints(min_length=1), AfterValidator(check_regex)]
Schema = Annotated[Json, AfterValidator(check_schema)]

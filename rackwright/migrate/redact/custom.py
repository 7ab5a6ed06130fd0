"""The operator's own kinds of text. None of their patterns can take long."""

from __future__ import annotations

import importlib
import re
from functools import lru_cache

MOST_STEPS = 2000
"""The most steps from one position of a text that an operator's pattern may need."""
_KIND = re.compile(r"[a-z][a-z0-9-]{0,23}")


@lru_cache(maxsize=256)
def usable(kind: str, pattern: str) -> re.Pattern[str]:
    """Return the operator's pattern compiled; raise ValueError if it isn't valid, matches nothing, or can be slow."""
    if not _KIND.fullmatch(kind):
        raise ValueError(f"{kind}: should be a letter, then letters, digits and -, in lower case, 24 at most")
    try:
        compiled = re.compile(pattern)
        parsed = importlib.import_module("re._parser").parse(pattern)
    except (re.error, ValueError, RecursionError, OverflowError) as error:
        raise ValueError(f"{kind}: is not a regular expression: {error}") from None
    if compiled.match("") or parsed.getwidth()[0] == 0:
        raise ValueError(f"{kind}: matches an empty text; should match at least one character")
    steps, _ = _cost(_without_end(parsed))
    if steps > MOST_STEPS:
        raise ValueError(
            f"{kind}: can take very long on some texts; should have an upper limit for each * and + "
            "before its end, like [0-9]{1,12}, and no repeat within a repeat"
        )
    return compiled


def _without_end(parsed: object) -> object:
    """Return the pattern with only the least of a last `+` or `*`: nothing follows that could make it try again."""
    items = list(parsed)  # type: ignore[call-overload]
    operation, argument = items[-1]
    if str(operation) in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        least, _, inner = argument
        if [str(one) in ("LITERAL", "NOT_LITERAL", "IN", "ANY") for one, _ in inner] == [True]:
            items[-1] = operation, (least, least, inner)
    return items


def _cost(parsed: object) -> tuple[int, int]:
    """Return the most steps from one position, and in how many ways the pattern can match there."""
    steps, ways = 0, 1
    for operation, argument in parsed:  # type: ignore[attr-defined]
        one, more = _cost_of(str(operation), argument)
        steps += ways * one
        ways *= more
        if steps > MOST_STEPS or ways > MOST_STEPS:
            return MOST_STEPS + 1, MOST_STEPS + 1
    return steps, ways


def _cost_of(operation: str, argument: object) -> tuple[int, int]:
    too_many = MOST_STEPS + 1, MOST_STEPS + 1
    match operation, argument:
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT", (int(least), most, inner):
            steps, ways = _cost(inner)
            limit = int(str(most)) if str(most).isdigit() else MOST_STEPS + 1
            if limit > MOST_STEPS or steps > MOST_STEPS or (ways > 1 and limit > 12):
                return too_many
            paths = sum(ways**count for count in range(least, limit + 1))
            return steps * limit * (ways ** max(0, limit - 1)), 1 if operation == "POSSESSIVE_REPEAT" else paths
        case "SUBPATTERN", (_, _, _, inner):
            return _cost(inner)
        case "ATOMIC_GROUP", inner:
            return _cost(inner)[0], 1
        case "BRANCH", (_, list(branches)):
            costs = [_cost(branch) for branch in branches]
            return sum(steps for steps, _ in costs), sum(ways for _, ways in costs)
        case "ASSERT" | "ASSERT_NOT", (_, inner):
            return _cost(inner)[0], 1
        case (("GROUPREF" | "GROUPREF_EXISTS" | "GROUPREF_IGNORE"), _):
            return too_many
    return 1, 1

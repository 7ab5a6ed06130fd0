"""Compare the shares of clients' requests that fail."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import partial

from rackwright.verdict.clustered import Clustered
from rackwright.verdict.conversations import too_few
from rackwright.verdict.figure import Chances, Measured, TooLittle
from rackwright.verdict.inputs import Request, Traffic
from rackwright.verdict.proportions import difference
from rackwright.verdict.result import Difference, Figure, Interval, Side


def errors(running: Traffic, candidate: Traffic, at: Chances) -> Measured:
    """Measure by how much the share of failed requests has risen."""
    first, second = _counted(running.requests), _counted(candidate.requests)
    if short := too_few(len(first.tries), len(second.tries)):
        return Measured(Figure.ERRORS, _side(first), _side(second), TooLittle(short))
    grown = partial(_difference, first, second, at)
    return Measured(Figure.ERRORS, _side(first), _side(second), grown(1.0), grown)


def fewest(allowed: float, at: Chances) -> int:
    """Return the lowest number of conversations for a PASS, if all are of the same length and none fails."""
    return math.ceil(math.log((1 - at.plain) / 2) / math.log(1 - allowed) + 1e-9)


def _difference(first: Clustered, second: Clustered, at: Chances, times: float) -> Difference:
    """Return the difference, estimated for `times` times as many conversations like these."""
    plain, wide = (_between(first, second, chance, times) for chance in (at.plain, at.wide))
    return Difference(second.share.value - first.share.value, plain, wide, _noise(first))


def _between(first: Clustered, second: Clustered, chance: float, times: float) -> Interval:
    one, other = (side.interval(chance, times) for side in (first, second))
    return difference(first.share.value, one, second.share.value, other)


def _counted(requests: Sequence[Request]) -> Clustered:
    tried = Counter(request.conversation for request in requests)
    failed = Counter(request.conversation for request in requests if request.error)
    return Clustered(tuple(failed[name] for name in tried), tuple(tried.values()))


def _side(found: Clustered) -> Side:
    count = found.share.tries
    return Side(count, len(found.tries), found.share.value if count else None)


def _noise(running: Clustered) -> float:
    """Return the difference between two halves of the running version's conversations."""
    one, other = (half.share.value for half in running.halves())
    return abs(one - other)

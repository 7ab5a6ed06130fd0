"""Whether the candidate fails more of its clients' requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rackwright.verdict.conversations import too_few
from rackwright.verdict.inputs import Request, Traffic
from rackwright.verdict.measured import Chances, Measured, TooLittle
from rackwright.verdict.proportions import Share, design_effect, difference
from rackwright.verdict.result import Difference, Figure, Side


def errors(running: Traffic, candidate: Traffic, at: Chances) -> Measured:
    """Return by how much the share of failed requests rose."""
    first, second = _counted(running.requests), _counted(candidate.requests)
    if short := too_few(first.conversations, second.conversations):
        return Measured(Figure.ERRORS, first.side, second.side, TooLittle(short))
    # A side without an error doesn't tell how alike a conversation's requests are: the other then stands for both.
    one = first.effective(first.effect or second.effect or 1.0)
    other = second.effective(second.effect or first.effect or 1.0)
    found = Difference(
        estimate=second.share.value - first.share.value,
        interval=difference(one, other, at.plain_z),
        wide=difference(one, other, at.wide_z),
        noise=_noise(first),
    )
    return Measured(Figure.ERRORS, first.side, second.side, found)


@dataclass(frozen=True)
class _Counted:
    tried: tuple[int, ...]
    """Requests of each conversation."""
    failed: tuple[int, ...]

    @property
    def conversations(self) -> int:
        return len(self.tried)

    @property
    def share(self) -> Share:
        return Share(sum(self.failed), sum(self.tried))

    @property
    def side(self) -> Side:
        count = sum(self.tried)
        return Side(count, self.conversations, self.share.value if count else None)

    @property
    def effect(self) -> float | None:
        return design_effect(self.failed, self.tried)

    def effective(self, effect: float) -> Share:
        return Share(self.share.hits / effect, self.share.tries / effect)


def _counted(requests: Sequence[Request]) -> _Counted:
    tried = Counter(request.conversation for request in requests)
    failed = Counter(request.conversation for request in requests if request.error)
    return _Counted(tuple(tried.values()), tuple(failed[name] for name in tried))


def _noise(running: _Counted) -> float:
    """Return how far both halves of the running version's conversations are apart."""
    one, other = (Share(sum(running.failed[half::2]), sum(running.tried[half::2])) for half in (0, 1))
    return abs(one.value - other.value)

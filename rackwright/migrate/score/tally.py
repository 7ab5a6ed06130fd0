"""Count how many answers of the fleet, and how many of the cloud's second ones, are good in each segment."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b
from heapq import nsmallest

from rackwright.migrate.score.join import Answered
from rackwright.migrate.score.request_checks import Marks, marks, says_what, usable
from rackwright.migrate.score.result import Kind, Unlike
from rackwright.verdict.proportions import PairedShares

MOST_UNLIKE = 20
Place = tuple[Kind, str]
"""A segment's kind, and what it is of."""


@dataclass
class Tally:
    """The counts so far. The order in which requests are added makes no difference."""

    models: frozenset[str]
    """The provider's models that are scored; each has a segment, even if no request is for it."""
    requests: int = 0
    fleet_failed: int = 0
    unjudged: int = 0
    """Requests about which a judge gave no word."""
    left_out: Counter[str] = field(default_factory=Counter)
    cells: dict[Place, Counter[Marks]] = field(default_factory=dict)
    _unlike: list[Unlike] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.expect("all")
        for name in self.models:
            self.expect("model", name)

    def expect(self, kind: Kind, name: str = "") -> None:
        """Have this segment, even if no request belongs to it."""
        self.cells.setdefault((kind, name), Counter())

    def add(self, found: Answered) -> bool:
        """Count a request; return whether only a judge could compare what its answers say."""
        if why := self._unfit(found):
            self.left_out[why] += 1
            return False
        self.requests += 1
        self.fleet_failed += not usable(found.fleet)
        checked = marks(found.request, found.cloud, found.again, found.fleet)
        whole = Marks(all(one.fleet for one in checked.values()), all(one.again for one in checked.values()))
        self.mark("all", "", whole)
        self.mark("model", found.request.model, whole)
        for kind, one in checked.items():
            self.mark("check", kind, one)
        worse = tuple(kind for kind, one in checked.items() if one.again and not one.fleet)
        if worse:
            self._keep(Unlike(request=found.request.id, model=found.request.model, checks=worse))
        return not says_what(checked)

    def _unfit(self, found: Answered) -> str | None:
        """Return why the request can't be scored; None: it can."""
        if found.request.model not in self.models:
            return "the plan has no such model"
        if not usable(found.cloud):
            return "the cloud failed"
        return None if usable(found.again) else "the cloud failed the second time"

    def mark(self, kind: Kind, name: str, one: Marks) -> None:
        self.expect(kind, name)
        self.cells[kind, name][one] += 1

    def table(self, kind: Kind, name: str) -> PairedShares:
        """Return a segment's counts, with the cloud's second answers as the first side."""
        cells = self.cells[kind, name]
        wanted = (Marks(True, True), Marks(False, True), Marks(True, False), Marks(False, False))
        return PairedShares(*(cells[one] for one in wanted))

    @property
    def unlike(self) -> tuple[Unlike, ...]:
        """Those with the most differences first."""
        return tuple(nsmallest(MOST_UNLIKE, self._unlike, key=_rank))

    def _keep(self, one: Unlike) -> None:
        self._unlike.append(one)
        if len(self._unlike) > 50 * MOST_UNLIKE:
            self._unlike = list(self.unlike)


def _rank(one: Unlike) -> tuple[int, bytes]:
    # Among equals by a hash, so that the requests of one hour aren't the only examples.
    return -len(one.checks), blake2b(one.request.encode(errors="surrogatepass"), digest_size=8).digest()

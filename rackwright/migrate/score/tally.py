"""Count how many answers of the fleet, and how many of the cloud's second ones, are good in each segment."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b
from heapq import nsmallest

from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.score.join import Answered
from rackwright.migrate.score.request_checks import Marks, marks, says_what, usable
from rackwright.migrate.score.result import Kind, Unlike
from rackwright.verdict.proportions import PairedShares

MOST_UNLIKE = 20
_NO_PART = frozenset(
    "model stream stream_options user safety_identifier metadata store prompt_cache_key service_tier seed".split()
)
"""Fields of a request that don't change what is asked."""
Place = tuple[Kind, str]
"""A segment's kind, and what it is of."""


@dataclass
class Tally:
    """The counts so far. The order in which requests are added makes no difference, but among equal ones the first
    counts."""

    models: frozenset[str]
    """The provider's models that are scored; each has a segment, even if no request is for it."""
    requests: int = 0
    fleet_failed: int = 0
    unjudged: int = 0
    """Requests about which a judge gave no word."""
    left_out: Counter[str] = field(default_factory=Counter)
    cells: dict[Place, Counter[Marks]] = field(default_factory=dict)
    unchecked: int = 0
    """Requests of which no check says anything about what an answer says."""
    _unlike: list[Unlike] = field(default_factory=list)
    _seen: set[int] = field(default_factory=set, repr=False)

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
        unclear = not says_what(checked)
        self.unchecked += unclear
        return unclear

    def _unfit(self, found: Answered) -> str | None:
        """Return why the request can't be scored; None: it can."""
        if found.request.model not in self.models:
            return "the plan has no such model"
        if not usable(found.cloud):
            return "the cloud failed"
        if not usable(found.again):
            return "the cloud failed the second time"
        # Equal requests aren't independent: eighty of one kind say as much as one.
        key = _key(found.request)
        if key in self._seen:
            return "equal to another request"
        self._seen.add(key)
        return None

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


def _key(request: RecordedRequest) -> int:
    """Return a short form of what an answer depends on."""
    asked = {name: value for name, value in request.body.items() if name not in _NO_PART}
    text = json.dumps([request.model, request.path, asked], sort_keys=True)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())


def _rank(one: Unlike) -> tuple[int, bytes]:
    # Among equals by a hash, so that the requests of one hour aren't the only examples.
    return -len(one.checks), blake2b(one.request.encode(errors="surrogatepass"), digest_size=8).digest()

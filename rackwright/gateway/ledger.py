"""The ledgers that running gateways keep: bring them up to date, and read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from shlex import quote

from rackwright.errors import HostError
from rackwright.gateway.whole_ledger import Ledger, whole
from rackwright.remote import Completed, Remote, read_answer
from rackwright.roles.ledger.program.book import Book, parse_book
from rackwright.roles.ledger.settings import DOCUMENT, SERVICE

_SECONDS = 330
_LARGEST = 256 * 2**20
# A look that another one started may have asked HAProxy before this one was asked for.
_SCRIPT = r"""set -eu
document={document} service={service} units={units} tries=3
[ -e "$units/$service" ] || {{ echo 'it keeps no ledger yet; run: rackwright apply' >&2; exit 1; }}
systemctl -q is-active rackwright-gateway.service || {{ echo "HAProxy doesn't run" >&2; exit 1; }}
# What the program said, without what systemd says of it.
why() {{
    said=$(journalctl -q -o cat -n 2 "_SYSTEMD_INVOCATION_ID=$(systemctl show -P InvocationID "$service")")
    echo "${{said:-$service fails; see: journalctl -u $service}}"
}}
asked=$(date +%s%3N)
while :; do
    systemctl start "$service" 2>/dev/null || {{ why >&2; exit 1; }}
    taken=$(sed -n 's/^{{"format":"[^"]*","gateway":"[^"]*","since":[0-9]*,"taken":\([0-9]*\),.*/\1/p' "$document")
    [ "${{taken:-0}}" -lt "$asked" ] || break
    [ $((tries -= 1)) -gt 0 ] || {{ echo "$service didn't look" >&2; exit 1; }}
done
cat "$document"
"""


@dataclass(frozen=True)
class Ledgers:
    """The ledgers of these gateways."""

    remote: Remote
    hosts: tuple[str, ...]
    document: str = DOCUMENT
    units: str = "/etc/systemd/system"

    def read(self) -> Ledger:
        """Bring each gateway's ledger up to date, and return them as one.

        What a gateway had accepted may also be known to the others, so each is asked twice: whatever was a copy the
        first time is no news the second time.
        """
        earlier = [book for book in self.look().values() if isinstance(book, Book)]
        return whole(self.look(), earlier)

    def look(self) -> dict[str, HostError | Book]:
        """Bring each gateway's ledger up to date and return it, or why that wasn't possible."""
        values = {"document": self.document, "service": SERVICE, "units": self.units}
        script = _SCRIPT.format(**{name: quote(value) for name, value in values.items()})
        done = self.remote.run_on(self.hosts, "sh -s", stdin=script, timeout=_SECONDS, limit=_LARGEST)
        return _read(done)


def _read(done: Mapping[str, Completed | HostError]) -> dict[str, HostError | Book]:
    found: dict[str, HostError | Book] = {}
    for host, answer in done.items():
        try:
            found[host] = answer if isinstance(answer, HostError) else _book(host, answer)
        except HostError as error:
            found[host] = error
    return found


def _book(host: str, done: Completed) -> Book:
    if not done.ok:
        why = " ".join(done.last_lines(2)) or f"exit status {done.exit_status}"
        raise HostError(f"bringing its ledger up to date failed: {why}", where=host)
    return read_answer(host, "its ledger", parse_ledger, host, done.stdout)


def parse_ledger(gateway: str, said: str) -> Book:
    """Parse a gateway's document. Raise ValueError if it isn't one, or is another gateway's."""
    book = parse_book(said)
    if book.gateway != gateway:
        raise ValueError(f"it is the ledger of {book.gateway}")
    return book

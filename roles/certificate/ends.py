"""When a host's certificates expire: the command that asks, and the parser of its output."""

from __future__ import annotations

from datetime import UTC, datetime

from rackwright.roles.certificate.settings import FOLDER

COMMAND = f"""for file in {FOLDER}/*.crt; do
    [ ! -f "$file" ] || echo "${{file##*/}} $(openssl x509 -in "$file" -noout -enddate -dateopt iso_8601 2>/dev/null)"
done
"""


def parse(output: str) -> dict[str, datetime | None]:
    """Given COMMAND's output, return the end of each certificate by its file stem; None: it can't be read."""
    found: dict[str, datetime | None] = {}
    for line in output.splitlines():
        name, _, end = line.partition(" ")
        found[name.removesuffix(".crt")] = _moment(end.removeprefix("notAfter=").strip())
    return found


def _moment(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None

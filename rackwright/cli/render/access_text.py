"""Who can log in to the hosts, as a table for a terminal and as Markdown for an auditor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rackwright.cli.render.table import table
from rackwright.lifecycle.access.procedure import Account, Key, Review
from rackwright.report.markdown import escaped
from rackwright.report.words import counted
from rackwright.state.formats import stamp

_HEADER = ("HOST", "USER", "ROLE", "UNTIL", "KEY", "PERSON", "LAST USE", "SUDO")
_API_HEADER = ("API KEY", "OWNER", "MODELS", "CREATED", "EXPIRES")


def as_text(found: Review) -> list[str]:
    """Return a line for each key of each account, the API keys, and what differs from the fleet file."""
    lines = [*table((_HEADER, *_rows(found))), ""]
    lines += [*table((_API_HEADER, *_api_rows(found))), ""] if found.api_keys else ()
    lines += [f"{host}: couldn't be asked: {why}" for host, why in found.unreachable.items()]
    return [*lines, *_findings(found)]


def as_markdown(found: Review, fleet: str) -> list[str]:
    """Return the same, with the time of the check and how far back the logs go."""
    lines = [f"# Access to the hosts of {fleet}", "", f"Checked at {stamp(found.when)}.", ""]
    lines += [*_markdown_table((_HEADER, *_rows(found)))]
    lines += ["", "A key without a last use was not used since the start of the host's journal:", ""]
    lines += [f"- {host}: {stamp(when) if when else 'no journal'}" for host, when in found.begins.items()]
    lines += [f"- {host}: **couldn't be asked**: {escaped(why)}" for host, why in found.unreachable.items()]
    lines += ["", "## API keys", "", *_markdown_table((_API_HEADER, *_api_rows(found)))] if found.api_keys else ()
    lines += ["", "## Findings", "", *(f"- {escaped(line)}" for line in _findings(found))]
    return lines


def _findings(found: Review) -> list[str]:
    if not found.findings:
        return ["everything matches the fleet file" + (", on the hosts that answered" if found.unreachable else "")]
    return [f"{counted(len(found.findings), 'finding')}:", *found.findings]


def _rows(found: Review) -> Iterator[tuple[str, ...]]:
    for account in found.accounts:
        for key in account.keys or (None,):
            yield (
                *(account.host, account.user, f"{account.role}, the tool" if account.tool else account.role),
                account.until.isoformat() if account.until else "-",
                *_key(key, account),
                "; ".join(account.sudo) or "-",
            )


def _key(key: Key | None, account: Account) -> tuple[str, str, str]:
    if key is None:
        return "a password" if account.password else "none", "-", "-"
    used = f"{stamp(key.use.when)} from {key.use.address}" if key.use else "-"
    return f"{key.fingerprint} {key.comment}".rstrip(), key.person or "-", used


def _api_rows(found: Review) -> Iterator[tuple[str, ...]]:
    for key in found.api_keys:
        expires = f"{key.expires:%Y-%m-%d}" if key.expires else "never"
        yield key.id, key.owner, ", ".join(key.models) or "all", f"{key.created:%Y-%m-%d}", expires


def _markdown_table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    for number, row in enumerate(rows):
        yield f"| {' | '.join(escaped(cell.lower() if number == 0 else cell) for cell in row)} |"
        if number == 0:
            yield "|" + "---|" * len(row)

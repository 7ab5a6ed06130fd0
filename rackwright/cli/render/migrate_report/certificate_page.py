"""A certificate as a page of Markdown, and as lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from rackwright.cli.render.table import table
from rackwright.lifecycle.migrate.finish.certificate_file import Certificate
from rackwright.migrate.finish.state import FinishState, KindEnd, Rechecked
from rackwright.state.formats import stamp

HEAD = ("kind", "exported", "deleted", "gone already", "still there", "without a copy", "no deletion", "list empty")


def certificate_page(found: Certificate) -> str:
    """Return the page. It has nothing that the certificate doesn't have."""
    return "\n".join(_page(found)) + "\n"


def certificate_lines(found: Certificate) -> Iterator[str]:
    """Yield what an operator should see of it."""
    yield from table([HEAD, *kind_rows(found.end.kinds)])
    yield ""
    yield from (f"shown: {one}" for one in found.proves)
    yield from (f"not shown: {one}" for one in found.not_proven)
    yield from (_recheck(one) for one in found.rechecks)
    if found.end.due and not any(one.good for one in found.rechecks):
        yield f"to be checked again on {when(found.end.due)}"


def kind_rows(kinds: Mapping[str, KindEnd]) -> Iterator[tuple[str, ...]]:
    for kind, one in kinds.items():
        counts = (one.copied, one.deleted, one.gone, one.kept, one.uncopied, one.staying)
        yield (kind, *(f"{number:,}" if number else "-" for number in counts), when(one.empty) if one.empty else "-")


def when(seconds: float) -> str:
    return stamp(datetime.fromtimestamp(seconds, UTC))


def _page(found: Certificate) -> Iterator[str]:
    end = found.end
    yield f"# The end of the migration {found.migration}"
    yield ""
    yield _plain(found.intent)
    yield ""
    yield f"- fleet: {found.fleet}; provider: {end.reached.cloud}, {end.reached.url}"
    yield f"- models: {', '.join(f'{name} → {model}' for name, model in found.models.items())}"
    yield f"- made {stamp(found.made)} by {found.signer}, {found.key}"
    yield f"- the migration's log then had {found.entries} entries, the last with the sha256 {found.log}"
    yield ""
    yield "## What was done"
    yield ""
    yield from _markdown([HEAD, *kind_rows(end.kinds)])
    yield ""
    yield from _done(end)
    yield from ("", "## What this shows", "", *(f"- {_plain(one)}" for one in found.proves))
    yield from ("", "## What this can't show", "", *(f"- {_plain(one)}" for one in found.not_proven))
    if found.rechecks or end.due or end.no_recheck:
        yield from ("", "## Checked again", "")
        yield from (f"- {_recheck(one)}" for one in found.rechecks)
    if end.due and not any(one.good for one in found.rechecks):
        yield f"- to be checked again on {when(end.due)}"
    elif end.no_recheck:
        yield f"- nobody checks again: {_plain(end.no_recheck)}"


def _done(end: FinishState) -> Iterator[str]:
    if end.copy_state:
        yield f"- exported: verified on {when(end.copy_state.at)}, list's sha256 {end.copy_state.list_sha256}"
    if end.deletions_sha256:
        yield f"- deleted: the list of deletions has the sha256 {end.deletions_sha256}"
    last = f"the last until {when(end.quiet.last)}" if end.quiet.last else "none"
    counts = ", ".join(f"{number:,} by the {side}" for side, number in end.quiet.requests.items()) or "none"
    yield f"- requests in the gateways' ledgers since {when(end.quiet.since)}: {counts}; not by the fleet: {last}"
    if end.erased:
        yield f"- recorded requests erased on {when(end.erased.at)}: {', '.join(end.erased.gateways)}"
    yield from (f"- {host}: without the provider's key on {when(at)}" for host, at in end.keys.items())
    yield from (f"- waived: {kind}: {_plain(why)}" for kind, why in end.waived.items())
    for one in end.left:
        yield f"- left: {one.kind} {one.id}: {_plain(one.reason)}"


def _recheck(one: Rechecked) -> str:
    count = sum(one.absent.values())
    if one.good:
        return f"checked again on {when(one.at)}: {count:,} objects still answer 404"
    back = ", ".join(f"{left.kind} {left.id} ({left.reason})" for left in one.back[:5])
    more = len(one.back) + one.more - 5
    unlisted = f"; not listed: {', '.join(one.unlisted)}" if one.unlisted else ""
    return f"checked again on {when(one.at)}: NOT GONE: {back}{f' and {more:,} more' if more > 0 else ''}{unlisted}"


def _markdown(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    head, *others = rows
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in others)


def _plain(text: str) -> str:
    """Return the text so that Markdown and HTML have no meaning in it."""
    return "".join(f"\\{one}" if one in "\\`*_[]<>#|" else one for one in text)

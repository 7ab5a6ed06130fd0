"""A notice in words: a chat's line, and the subject and body of a mail."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.lifecycle.notify.notice import Notice, names, one_line

_MOST_IN_CHAT = 1000
_FENCE = "```"


def subject(notice: Notice) -> str:
    return one_line(f"[rackwright {notice.fleet}] {notice.summary}")


def chat_text(notice: Notice) -> str:
    """Return what Slack, Mattermost and their like show.

    What hosts said is in a code block: there, it is no link, no image, and notifies no one by name.
    """
    if notice.reason is None:
        return _escaped(subject(notice))
    head = f"[rackwright {notice.fleet}] {notice.command} {notice.event}"
    inside = notice.reason[:_MOST_IN_CHAT] + (f"\nnext: {notice.next}" if notice.next else "")
    return f"{_escaped(head)}\n{_FENCE}\n{_escaped(inside).replace('`', chr(39))}\n{_FENCE}"


def body(notice: Notice) -> str:
    return "\n".join(_lines(notice)) + "\n"


def _lines(notice: Notice) -> Iterator[str]:
    yield notice.summary
    yield ""
    if notice.reason:
        yield from (f"  {line}" for line in notice.reason.splitlines())
        yield ""
    if notice.next:
        yield f"next: {notice.next}"
        yield ""
    known = {
        "fleet": notice.fleet,
        "command": f"rackwright {notice.command}",
        "run": notice.run,
        "hosts": names(notice.hosts),
        "operator": notice.operator,
        "machine": notice.machine,
        "time": notice.model_dump(mode="json")["time"],
    }
    yield from (f"{name + ':':<10}{value}" for name, value in known.items() if value)


def _escaped(text: str) -> str:
    """Return the text with Slack's escapes for the three characters that begin its markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

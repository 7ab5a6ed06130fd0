"""A reminder to commit what rackwright has written next to the fleet file."""

from __future__ import annotations

from shlex import quote

from rackwright.cli.common.context import Context


def remind_to_commit(context: Context) -> None:
    """Name the lock, keys file, pins and CA that git doesn't have as they are now: colleagues need them."""
    from rackwright.state.checkout import uncommitted

    if left := uncommitted(context.fleet):
        names, folder = [path.name for path in left], quote(str(context.fleet.path.parent))
        added = " ".join(map(quote, names))
        context.note(f"not committed: {', '.join(names)}", f"next: git -C {folder} add {added}, and commit")

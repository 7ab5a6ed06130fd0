"""The sources from which apt gets packages: ours, and the others, which are set aside while ours are in use."""

from __future__ import annotations

import shlex
from collections.abc import Generator

from pyinfra.api.command import PyinfraCommand, StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.diff import show
from rackwright.operations.facts.apt_sources import APT, ASIDE, OURS, AptSources
from rackwright.operations.filesystem.own_file import own_file_commands
from rackwright.operations.packages import LISTS_STAMP

# apt distinguishes the two formats of sources by file extension. The lists stay, so no second update is needed.
_ANSWERS = (
    'd=$(mktemp -d) && chmod 0755 "$d" && cp -- {path} "$d/new.sources" && '
    'apt-get -q update --error-on=any -o Dir::Etc::sourcelist="$d/new.sources" -o Dir::Etc::sourceparts=/dev/null '
    '-o APT::Get::List-Cleanup=0 >&2; s=$?; rm -rf -- "$d"; [ "$s" -eq 0 ]'
)


@operation()
def sources_file(*, content: str | None) -> Generator[PyinfraCommand]:
    """Ensure that apt has these sources (deb822; None: none of ours), and has read their lists. Other sources stay.

    Fails, and changes nothing, if a source doesn't answer or isn't signed with its key.
    """
    yield from own_file_commands(path=OURS, content=content, check=_ANSWERS)


@operation()
def others_aside(*, aside: bool) -> Generator[PyinfraCommand]:
    """Ensure that apt reads only our sources, or (with `aside` False) restore the sources that were set aside.

    If a file's place has been taken since then, the new file stays, and the old one stays aside.
    """
    found = host.get_fact(AptSources)
    names, source, target = (found.others, APT, ASIDE) if aside else (found.aside, ASIDE, APT)
    if not names:
        return
    show("\n".join(f"{'-' if aside else '+'} {APT}/{name}" for name in names))
    folders = dict.fromkeys(f"{target}/{name}".rpartition("/")[0] for name in names)
    yield StringCommand(shlex.join(("mkdir", "-p", "--", *folders)))
    for name in names:
        yield StringCommand(shlex.join(("mv", "-fT", "--", f"{source}/{name}", f"{target}/{name}")))
    yield StringCommand(f"rm -f -- {LISTS_STAMP}")


@operation()
def keyrings_kept(*, keep: tuple[str, ...]) -> Generator[PyinfraCommand]:
    """Remove all keys of our mirrors that aren't in `keep`."""
    gone = tuple(path for path in host.get_fact(AptSources).keyrings if path not in keep)
    if gone:
        show("\n".join(f"- {path}" for path in gone))
        yield StringCommand(shlex.join(("rm", "-f", "--", *gone)))

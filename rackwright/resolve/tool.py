"""The tool for control hosts: wheels of what this rackwright needs, in the versions that it runs with here."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import ToolLock, tool_question
from rackwright.own_wheel import own_requirements
from rackwright.resolve.package_index import index_of
from rackwright.resolve.wheels import wheels_of_requirements


def tool_of(fleet: Fleet, kept: ToolLock | None, *, again: bool = False) -> ToolLock | None:
    """Return the entry: `kept`, if it is of this rackwright; None if no host has the tool.

    With `again`, it is resolved in any case. Raise FleetError if the package index has no wheel of something for the
    hosts' Python.
    """
    question = tool_question(fleet)
    if question is None or (kept and kept.question == question and not again):
        return kept if question else None
    wheels = wheels_of_requirements(
        "".join(f"{line}\n" for line in own_requirements()),
        python=question.python,
        index=index_of(fleet),
        where=f"{fleet.path} unattended.on",
        constraints="".join(f"{name}=={version}\n" for name, version in sorted(_versions_here())),
    )
    return question.model_copy(update={"files": wheels})


def _versions_here() -> Iterator[tuple[str, str]]:
    """Yield name and version of each package that this rackwright needs, directly or not, and that is here."""
    from importlib.metadata import PackageNotFoundError, distribution

    left, seen = [_name(line) for line in own_requirements()], set[str]()
    while left:
        name = left.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            found = distribution(name)
        except PackageNotFoundError:
            # Only other systems need it.
            continue
        yield name, found.version
        left += [_name(line) for line in found.requires or ()]


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    return re.sub(r"[-_.]+", "-", found[0]).lower() if found else ""

"""Removal of what an earlier run created on the host and the fleet no longer contains."""

from __future__ import annotations

import re
from collections.abc import Generator

from pyinfra.api.command import PyinfraCommand, QuoteString, StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.diff import show
from rackwright.operations.facts.ours import OurBuilds, OurFiles, OurTools, OurUnits, OurUsers
from rackwright.operations.unit import UNITS

_LAST = (".service", ".slice", ".target", ".mount")
"""Types of units that other units start; stopped after these, so that they aren't started again."""
_REPLICA = re.compile(r"rackwright-([a-z0-9-]+@[0-9]+)\.service")
_TOOL = re.compile(r"/opt/rackwright/tool-[0-9A-Za-z.]+\+[0-9a-f]{8}")
"""A whole version; an installation in progress has a further ending."""
_EGRESS = "/etc/rackwright/cloud/egress.nft"
"""The rules of a table that is loaded as long as there are clouds."""
_CACHES = "/var/cache/rackwright"
"""Folder in which engines store compiled code, by replica."""


@operation()
def retired_units(*, keep: tuple[str, ...]) -> Generator[PyinfraCommand]:
    """Stop, disable and remove each unit of rackwright that isn't in `keep`, and its cache."""
    gone = [unit for unit in host.get_fact(OurUnits) if unit not in keep]
    if not gone:
        return
    show("\n".join(f"- {unit}" for unit in gone))
    gone.sort(key=lambda unit: unit.endswith(_LAST))
    yield StringCommand("systemctl --quiet disable --now --", *(QuoteString(unit) for unit in gone))
    yield StringCommand("rm -f --", *(QuoteString(f"{UNITS}/{unit}") for unit in gone))
    yield StringCommand("rm -rf --", *(QuoteString(f"{UNITS}/{unit}.d") for unit in gone))
    if caches := [f"{_CACHES}/{found[1]}" for unit in gone if (found := _REPLICA.fullmatch(unit))]:
        yield StringCommand("rm -rf --", *(QuoteString(path) for path in caches))
    yield StringCommand("systemctl daemon-reload")
    # A unit that had failed would be listed as failed until the next boot. One that hadn't is no longer known.
    yield StringCommand(
        "systemctl --quiet reset-failed --", *(QuoteString(unit) for unit in gone), "2>/dev/null || :"
    )


@operation()
def retired_files(*, keep: tuple[str, ...]) -> Generator[PyinfraCommand]:
    """Remove each of our probe scripts, proxy folders and certificates not in `keep`, and the clouds' rules."""
    gone = [path for path in host.get_fact(OurFiles) if path not in keep]
    if gone:
        show("\n".join(f"- {path}" for path in gone))
        if _EGRESS in gone:
            # Its rules would limit a gateway's HAProxy for good to what they name.
            yield StringCommand("nft delete table inet rackwright_cloud 2>/dev/null || :")
        yield StringCommand("rm -rf --", *(QuoteString(path) for path in gone))


@operation()
def retired_builds(*, keep: tuple[str, ...]) -> Generator[PyinfraCommand]:
    """Remove every folder of a build that isn't in `keep`, with what is left of a transfer; runtimes stay."""
    gone = [path for path in host.get_fact(OurBuilds) if path not in keep]
    if gone:
        show("\n".join(f"- {path}" for path in gone))
        yield StringCommand("rm -rf --one-file-system --", *(QuoteString(path) for path in gone))


@operation()
def retired_users(*, keep: tuple[str, ...]) -> Generator[PyinfraCommand]:
    """Remove every user of ours that isn't in `keep`. Its files stay, owned by a numeric ID."""
    gone = [user for user in host.get_fact(OurUsers) if user not in keep]
    if gone:
        show("\n".join(f"- {user}" for user in gone))
    for user in gone:
        yield StringCommand("userdel --", QuoteString(user))


@operation()
def retired_tools(*, keep: str | None) -> Generator[PyinfraCommand]:
    """Remove each version of the tool but `keep` and the one that was installed before it; None: remove all.

    What a canceled installation left is removed, too.
    """
    found = host.get_fact(OurTools)
    others = [path for path in found if path != keep and _TOOL.fullmatch(path)]
    gone = [path for path in found if keep is None or path not in (keep, *others[:1])]
    if gone:
        show("\n".join(f"- {path}" for path in gone))
        yield StringCommand("rm -rf --one-file-system --", *(QuoteString(path) for path in gone))

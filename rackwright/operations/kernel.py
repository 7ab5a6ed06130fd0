"""Settings of the running kernel."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Mapping
from fnmatch import fnmatchcase

from pyinfra.api.command import PyinfraCommand, StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.diff import show
from rackwright.operations.facts.drop_in import Assignment, DropIns
from rackwright.operations.facts.kernel import KernelSettings, path_of
from rackwright.operations.plan_notes import note


@operation()
def kernel_settings(*, path: str, wanted: Mapping[str, str], kept: tuple[str, ...] = ()) -> Generator[PyinfraCommand]:
    """Ensure that the running kernel has these settings; the file at `path` sets them at boot.

    Add a note for each setting that the kernel doesn't have, that another file in sysctl.d overrides, or that can't
    be set here; leave these alone. `kept` are further notes.
    """
    for line in kept:
        note(line)
    found = host.get_fact(KernelSettings, keys=tuple(wanted))
    ours = {path_of(key): " ".join(value.split()) for key, value in wanted.items()}
    others = [one for one in host.get_fact(DropIns, folder="sysctl.d") if one.file != path]
    differing = {}
    for absent in (key for key in ours if "*" not in key and key not in found):
        note(f"this kernel has no setting {_dotted(absent)}")
    for setting, is_now in found.items():
        pattern = _pattern(setting, ours)
        value = ours[pattern]
        if winner := _winner(setting, pattern, value, others, path):
            note(f"{winner.file} sets {winner.key}={winner.value}, which overrides ours ({value})")
        elif is_now.value != value and not is_now.writable:
            note(f"{_dotted(setting)} is {is_now.value}, should be {value}, and can't be set here")
        elif is_now.value != value:
            differing[setting] = (is_now.value, value)
    if differing:
        show("\n".join(f"{_dotted(setting)}: {old} becomes {new}" for setting, (old, new) in differing.items()))
        yield StringCommand(" && ".join(_set(setting, new) for setting, (_, new) in differing.items()))


def _pattern(setting: str, ours: Mapping[str, str]) -> str:
    """Return our key for the setting: its own name if we have it, else the last pattern that matches."""
    return setting if setting in ours else [key for key in ours if fnmatchcase(setting, key)][-1]


def _winner(setting: str, pattern: str, value: str, others: list[Assignment], path: str) -> Assignment | None:
    """Return the assignment that overrides ours, by the rules of systemd-sysctl(8): a name overrides any pattern."""
    later = [one for one in others if one.name > path.rpartition("/")[2]]
    if pattern == setting:
        winners = [one for one in later if _key(one) == setting]
    else:
        winners = [one for one in later if fnmatchcase(setting, _key(one))]
        winners += [one for one in others if _key(one) == setting]
    return winners[-1] if winners and " ".join(winners[-1].value.split()) != value else None


def _key(one: Assignment) -> str:
    return path_of(one.key.removeprefix("-"))


def _dotted(setting: str) -> str:
    return setting.translate(str.maketrans("./", "/."))


def _set(setting: str, value: str) -> str:
    return f"printf '%s\\n' {shlex.quote(value)} >{shlex.quote(f'/proc/sys/{setting}')}"

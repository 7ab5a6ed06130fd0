"""A planned Run in short: what needs a look, and what would change, with hosts that change alike in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rackwright.report.words import COLORS, by_role, counted, hosts_of, separated
from rackwright.run import Outcome, Run, Step
from rackwright.terminal import Styled

ACCESS = ("firewall", "sshd", "people", "fail2ban", "logins")
"""The roles that decide who gets into a host."""
BOOT = ("nvidia_driver", "boot")
"""The roles that decide what a host runs after its next boot."""
REMOVES = "Remove "
"""How the name of each operation begins that removes what the fleet file no longer names."""
_NEW_FILE = "--- /dev/null"
_NAMED = 2
"""How many operations of a role are named, if it has more than one more."""
_SHOWN = 12
"""The most changed lines of one file that are shown."""
_Roles = tuple[tuple[str, tuple[str, ...]], ...]
"""Each role that changes on a host, and its operations."""


@dataclass(frozen=True)
class _Change:
    """One change that needs a look, on one or more hosts."""

    role: str
    what: str
    lines: tuple[str, ...] = ()
    """What changes within it, as lines of a diff."""


def to_look_at(run: Run) -> list[str]:
    """Return what changes who gets in, what boots, and what would be removed; [] if nothing does."""
    blocks = (
        _block("who gets in:", run, lambda step: step.role in ACCESS),
        _block("driver and kernel:", run, lambda step: step.role in BOOT),
        _block("removed:", run, lambda step: step.role not in (*ACCESS, *BOOT) and removes(step)),
    )
    return separated(block for block in blocks if block)


def removes(step: Step) -> bool:
    return step.operation.startswith(REMOVES)


def by_hosts(run: Run) -> list[str]:
    """Return what would change by role, once for all hosts on which it is the same."""
    alike: dict[_Roles, list[str]] = {}
    failed: list[str] = []
    for host in hosts_of(run):
        roles = tuple(_roles(run.of(host)))
        if roles or host not in run.failed_hosts:
            alike.setdefault(roles, []).append(host)
        elif host not in run.unreachable:
            failed.append(f"{host}: failed, see below")
    return [*failed, *(line for roles, hosts in alike.items() for line in _alike(hosts, roles))]


def _alike(hosts: Sequence[str], roles: _Roles) -> Iterator[str]:
    changes = sum(len(operations) for _, operations in roles)
    each = " each" if len(hosts) > 1 else ""
    found = f"{counted(changes, 'change')}{each}" if changes else "nothing would change"
    yield Styled(f"{', '.join(hosts)}: {found}", bold=bool(changes))
    width = max((len(role) for role, _ in roles), default=0)
    yield from (f"  {role:<{width}}  {_named(operations)}" for role, operations in roles)


def _roles(steps: Iterable[Step]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each role that changes, once, and its operations, with those that need a look first."""
    found: dict[str, tuple[str, ...]] = {}
    for role, changing in by_role(steps):
        found[role] = found.get(role, ()) + tuple(
            step.operation for step in changing if step.outcome is Outcome.WOULD_CHANGE
        )
    order = (*ACCESS, *BOOT)
    roles = [role for role, operations in found.items() if operations]
    yield from ((role, found[role]) for role in sorted(roles, key=lambda role: role not in order))


def _named(operations: Sequence[str]) -> str:
    if len(operations) <= _NAMED + 1:
        return "; ".join(operations)
    return f"{'; '.join(operations[:_NAMED])}; and {len(operations) - _NAMED} more"


def _block(title: str, run: Run, chosen: Callable[[Step], bool]) -> list[str]:
    alike: dict[_Change, list[str]] = {}
    for host in hosts_of(run):
        for change in _changes(
            step for step in run.of(host) if step.outcome is Outcome.WOULD_CHANGE and chosen(step)
        ):
            alike.setdefault(change, []).append(host)
    if not alike:
        return []
    return [Styled(title, COLORS[Outcome.WOULD_CHANGE], bold=True), *_listed(alike)]


def _listed(alike: dict[_Change, list[str]]) -> Iterator[str]:
    for change, hosts in alike.items():
        yield f"  {', '.join(hosts)}: {change.role}: {change.what}"
        yield from (Styled(f"      {line}", _color(line)) for line in change.lines[:_SHOWN])
        if (more := len(change.lines) - _SHOWN) > 0:
            yield f"      … and {counted(more, 'line')} more"


def _changes(steps: Iterable[Step]) -> Iterator[_Change]:
    """Yield what these steps of a host change, each file once: operations that try a file first also show it."""
    by_name: dict[str, list[Step]] = {}
    for step in steps:
        by_name.setdefault(step.role, []).append(step)
    for role, changing in by_name.items():
        shown = {change.what: change for step in reversed(changing) if step.diff for change in [_change(step)]}
        yield from reversed(shown.values()) if shown else (_Change(role, step.operation) for step in changing)


def _change(step: Step) -> _Change:
    lines = (step.diff or "").removesuffix("\n").split("\n")
    if not lines[0].startswith("--- ") or len(lines) < 2:
        return _Change(step.role, step.operation, tuple(lines))
    path = (lines[0] if lines[1] == "+++ /dev/null" else lines[1])[4:]
    if lines[0] == _NEW_FILE:
        return _Change(step.role, f"{path} (new)")
    changed = (line for line in lines[2:] if line.startswith(("+", "-")))
    return _Change(step.role, path, tuple(line[0] + line[1:].replace("\t", "  ") for line in changed))


def _color(line: str) -> str | None:
    return {"+": "green", "-": "red"}.get(line[:1])

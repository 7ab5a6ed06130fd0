"""Mutants that are tried each time: mistakes that would lose a request, a file or a secret."""

from __future__ import annotations

from pathlib import Path

from benchmarks.mutants.mutation import Mutation, mutation
from benchmarks.mutants.targets import Target

_LIFECYCLE, _STATE, _GATEWAY = "rackwright/lifecycle", "rackwright/state", "rackwright/gateway"

# (module, what it does wrong, text that the module has exactly once, new text)
NAMED = (
    (f"{_LIFECYCLE}/update/unfinished.py", "an engine on another unit counts as whole", "state.runs(unit)", "True"),
    (
        f"{_LIFECYCLE}/update/unfinished.py",
        "closes with an unknown replica",
        "    _refuse_unknown(progress)\n    _close(",
        "    _close(",
    ),
    (
        f"{_LIFECYCLE}/update/unfinished.py",
        "goes on with an unknown replica",
        "    _refuse_unknown(progress)\n    due",
        "    due",
    ),
    (f"{_STATE}/scripts.py", "the token goes back", 'if [ "$next" -lt "$token" ]; then next=$token; fi\n', ""),
    (f"{_STATE}/scripts.py", "no sync before the rename", 'sync "$1.new"; ', ""),
    (f"{_STATE}/scripts.py", "no sync after the rename", '"$1"; sync .; }', '"$1"; }'),
    (f"{_STATE}/scripts.py", "state is world-readable", "umask 077\n", ""),
    (
        f"{_LIFECYCLE}/prune/needed.py",
        "the previous version goes",
        "[model.previous for model in lock.models.values() if model.previous]",
        "[]",
    ),
    (f"{_LIFECYCLE}/prune/procedure.py", "the lease is not checked", "            lease_session.check()\n", ""),
    (
        f"{_LIFECYCLE}/prune/scripts.py",
        "what has no marker goes",
        """  marked "$1" || { echo "$1: has lost its marker, so it stays" >&2; return 1; }\n""",
        "",
    ),
    (
        f"{_LIFECYCLE}/prune/scripts.py",
        "what is arriving from another host goes",
        """  ! systemctl is-active -q UNIT || """
        """{ echo "$1: is arriving from another host, so it stays" >&2; return 1; }\n""",
        "",
    ),
    (
        f"{_GATEWAY}/scripts.py",
        "a drain isn't verified",
        """[ $((state & 8)) -ne 0 ] || {{ echo 'HAProxy did not drain it' >&2; exit 1; }}\n""",
        "",
    ),
    (f"{_GATEWAY}/scripts.py", "what was told of keys is world-readable", "install -T -m 0600", "install -T -m 0644"),
)


def named(root: Path, target: Target) -> list[Mutation]:
    """Return the target's named mutants. Fail if a module doesn't have the text exactly once."""
    found = []
    for module, wrong, was, becomes in NAMED:
        if module in target.modules:
            before = (root / module).read_text()
            assert before.count(was) == 1, f"{module} has {before.count(was)} times: {was}"
            one = mutation(module, f"named: {wrong}", before, before.replace(was, becomes))
            assert one is not None
            found.append(one)
    return found

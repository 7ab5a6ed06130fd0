"""Which modules are mutated, which unit tests should fail, and how many mutants of each group are tried."""

from __future__ import annotations

from dataclasses import dataclass

SEED = 29
"""Of the sample. Another seed tries other mutants."""


@dataclass(frozen=True)
class Target:
    """Modules that are mutated together, because they have the same tests."""

    name: str
    modules: tuple[str, ...]
    tests: tuple[str, ...]
    """In the order in which they run: fast ones first."""
    mutants: int


def _under(folder: str, names: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}" for name in names.split())


_ROLLOUT_TESTS = _under(
    "tests/lifecycle",
    "rollout/test_change.py rollout/test_procedure.py rollout/test_revert.py update/test_unfinished.py "
    "test_fenced.py",
)

TARGETS = (
    Target("rollout", _under("rackwright/lifecycle/rollout", "procedure.py change.py"), _ROLLOUT_TESTS, 35),
    Target(
        "unfinished",
        ("rackwright/lifecycle/update/unfinished.py",),
        (
            *_under(
                "tests/lifecycle",
                "update/test_replica_progress.py update/test_unfinished.py rollout/test_revert.py test_fenced.py",
            ),
            "tests/lifecycle/canary/test_updates.py",
        ),
        35,
    ),
    Target(
        "store",
        _under("rackwright/state", "store.py scripts.py lease.py lease_session.py"),
        _under("tests/state", "test_lease_session.py test_store.py test_stored_journal.py"),
        50,
    ),
    Target("journal", ("rackwright/state/journal.py",), ("tests/state/test_journal.py",), 15),
    Target(
        "prune",
        _under("rackwright/lifecycle/prune", "needed.py procedure.py scripts.py"),
        (
            *_under("tests/lifecycle/prune", "test_procedure.py test_needed.py test_scripts.py"),
            "tests/cli/model/test_prune.py",
        ),
        40,
    ),
    Target(
        "drains",
        _under("rackwright/lifecycle/drain", "missing.py procedure.py"),
        ("tests/lifecycle/drain/test_missing.py", "tests/lifecycle/drain/test_procedure.py"),
        25,
    ),
    Target(
        "keys",
        ("rackwright/fleet/keys_file.py", "rackwright/lifecycle/key.py"),
        (
            "tests/fleet/test_keys_file.py",
            "tests/lifecycle/test_key.py",
            *_under("tests/cli", "test_key.py test_key_pull.py"),
        ),
        30,
    ),
    Target(
        "gateway",
        _under("rackwright/gateway", "scripts.py api.py server_states.py"),
        _under(
            "tests/gateway",
            "test_server_states.py test_told.py test_runtime.py test_downtime.py test_answers.py",
        ),
        35,
    ),
    Target(
        "download",
        (
            *_under(
                "rackwright/operations/filesystem",
                "fetch.py stored_folder.py fetch.sh place.sh put_in_place.sh read.sh unpack.sh",
            ),
            *_under("roles/model_store", "role.py settings.py"),
        ),
        (
            *_under(
                "tests/operations",
                "facts/test_stored_folder.py filesystem/test_fetch_script.py filesystem/test_fetch.py "
                "filesystem/test_stored_folder.py",
            ),
            "tests/roles/test_model_store.py",
        ),
        40,
    ),
    Target(
        "verdict",
        _under(
            "rackwright/verdict",
            "conversations.py decide.py errors.py golden.py golden_check.py harm.py inputs.py judge.py figure.py "
            "proportions.py quantiles.py reasons.py thresholds.py times.py words.py",
        ),
        _under(
            "tests/verdict",
            "test_judge.py test_words.py test_proportions.py test_quantiles.py test_decide.py test_example.py "
            "test_golden_check.py test_any_evidence.py",
        ),
        35,
    ),
)

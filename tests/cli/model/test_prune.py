from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from rackwright.cli.model.prune import prune
from rackwright.lifecycle.prune import procedure
from rackwright.lifecycle.prune.needed import Kept
from rackwright.lifecycle.prune.procedure import Pruned
from rackwright.lifecycle.prune.scripts import Weights
from rackwright.lifecycle.session import session as sessions

OLD = Weights(f"assistant/{'a' * 16}", "assistant", "a" * 16, 4_700_000_000, 86_400, used=False)


@pytest.fixture
def found(monkeypatch):
    def comes(pruned: Pruned) -> list[bool]:
        asked: list[bool] = []

        @contextmanager
        def open_session(fleet, **_):
            yield SimpleNamespace()

        def carry_out(session, console, *, rehearsed: bool):
            asked.append(rehearsed)
            return pruned

        monkeypatch.setattr(sessions, "open_session", open_session)
        monkeypatch.setattr(procedure, "prune", carry_out)
        return asked

    return comes


def ran(site, *words):
    return CliRunner().invoke(prune, ["-f", str(site), *words], standalone_mode=False)


def test_what_was_removed_is_reported_with_its_size(site, found):
    asked = found(Pruned({"gpu1": (OLD,)}))
    said = ran(site, "--yes")
    assert (said.return_value, said.stdout) == (0, "removed: 4.7 GB\n")
    assert asked == [False]


def test_a_dry_run_says_what_would_be_removed(site, found):
    asked = found(Pruned({"gpu1": (OLD,)}))
    assert ran(site, "--dry-run").stdout == "would be removed: 4.7 GB\n"
    assert asked == [True]


def test_json_names_all_and_a_host_that_failed_makes_exit_code_3(site, found):
    kept = {"gpu1": (Kept(replace(OLD, digest="b" * 16), "site.lock names it"),)}
    found(Pruned({"gpu1": (OLD,)}, kept, {"gpu1": ("others/x",)}, {"gpu2": "unreachable"}))
    said = ran(site, "--yes", "--json")
    assert said.return_value == 3
    assert json.loads(said.stdout) == {
        "dry_run": False,
        "removed": [
            {
                "host": "gpu1",
                "model": "assistant",
                "digest": "a" * 16,
                "bytes": 4_700_000_000,
                "age_seconds": 86_400,
            }
        ],
        "kept": [
            {
                "host": "gpu1",
                "model": "assistant",
                "digest": "b" * 16,
                "bytes": 4_700_000_000,
                "why": "site.lock names it",
            }
        ],
        "left": [{"host": "gpu1", "folder": "others/x"}],
        "failed": [{"host": "gpu2", "problem": "unreachable"}],
    }


def test_nothing_to_remove_is_said(site, found):
    found(Pruned())
    assert ran(site, "--yes").stdout == "nothing to remove\n"

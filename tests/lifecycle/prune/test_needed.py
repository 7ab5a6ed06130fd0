"""Which weights are needed: those of the lock, of the next lock and of the lock that was applied last."""

from __future__ import annotations

from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.errors import FleetError
from rackwright.fleet.lock import Lock, ModelLock, model_digest
from rackwright.fleet.lock_file import write_lock
from rackwright.lifecycle.prune import procedure as pruning
from rackwright.lifecycle.prune.procedure import needed, needed_by
from rackwright.values.file import File


def lock_of(**files: str) -> Lock:
    """Given model → the content of its file, return a lock with it."""
    models = {}
    for name, content in files.items():
        kept = (File(path="m.gguf", size=1, sha256=sha256(content.encode()).hexdigest(), url="file:m.gguf"),)
        models[name] = ModelLock(source="file:m.gguf", digest=model_digest(kept), files=kept)
    return Lock(fleet="acme", models=models, runtimes={}, ports={})


def test_weights_of_the_lock_the_next_one_and_the_applied_one_are_needed(tmp_path, monkeypatch):
    now, following, colleagues = lock_of(assistant="now"), lock_of(assistant="next"), lock_of(coder="a colleague's")
    applied = None
    monkeypatch.setattr(pruning, "read_applied", lambda shell: applied)
    fleet = SimpleNamespace(sibling=lambda suffix: tmp_path / f"site.{suffix}", control=("gate1",))
    session: Any = SimpleNamespace(lock=now, fleet=fleet, remote=SimpleNamespace(connection=lambda host: None))
    assert needed(session) == needed_by(now)
    write_lock(tmp_path / "site.lock.next", following)
    assert needed(session) == needed_by(now, following)
    write_lock(tmp_path / "applied", colleagues)
    files = {"fleets/site.lock": (tmp_path / "applied").read_bytes()}
    applied = SimpleNamespace(about=SimpleNamespace(fleet_file="fleets/site.yml"), files=files)
    assert needed(session) == needed_by(now, following, colleagues)
    assert needed(session).digests == {
        lock.models[name].digest for lock in (now, following) for name in lock.models
    } | {colleagues.models["coder"].digest}
    (tmp_path / "site.lock.next").write_text("no lock")
    with pytest.raises(FleetError):
        needed(session)


def test_the_version_before_is_needed_for_the_way_back():
    lock = lock_of(assistant="now")
    (now,) = lock.models.values()
    (before,) = lock_of(assistant="before").models.values()
    keep = needed_by(lock.model_copy(update={"models": {"assistant": now.model_copy(update={"previous": before})}}))
    assert keep.digests == {now.digest, before.digest}
    assert keep.files == {now.files[0].sha256, before.files[0].sha256}

"""Which weights are needed: those of the lock, of the next lock and of the lock that was applied last."""

from __future__ import annotations

from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.errors import FleetError
from rackwright.fleet.lock import Lock, ModelLock, model_digest
from rackwright.fleet.lock_file import write_lock
from rackwright.lifecycle.prune import needed as module
from rackwright.lifecycle.prune.needed import Keep, needed, needs_of
from rackwright.lifecycle.prune.scripts import Weights
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
    monkeypatch.setattr(module, "last_applied", lambda *_: applied)
    fleet = SimpleNamespace(sibling=lambda suffix: tmp_path / f"site.{suffix}", control=("gate1",))
    session: Any = SimpleNamespace(lock=now, fleet=fleet, remote=SimpleNamespace(connection=lambda host: None))

    def reasons() -> list[str | None]:
        keep = needed(session)
        return [keep.reason(weights(lock)) for lock in (now, following, colleagues)]

    assert reasons() == ["site.lock names it", None, None]
    write_lock(tmp_path / "site.lock.next", following)
    left = "site.lock.next names it, which a rollout has left; remove that file if you don't need it"
    assert reasons() == ["site.lock names it", left, None]
    write_lock(tmp_path / "applied", colleagues)
    files = {"fleets/site.lock": (tmp_path / "applied").read_bytes()}
    applied = SimpleNamespace(about=SimpleNamespace(fleet_file="fleets/site.yml"), files=files)
    assert reasons() == ["site.lock names it", left, "the lock that was applied last names it"]
    (tmp_path / "site.lock.next").write_text("no lock")
    with pytest.raises(FleetError):
        needed(session)


def weights(lock: Lock, *, downloaded: bool = False) -> Weights:
    """Return the weights of the lock's model, or its file that was fetched so far."""
    (model,) = lock.models.values()
    digest = model.files[0].sha256 if downloaded else model.digest[:16]
    return Weights(f"m/{digest}", None if downloaded else "m", digest, 1, 1, used=False)


def test_the_version_before_is_needed_for_the_way_back():
    lock, old = lock_of(assistant="now"), lock_of(assistant="before")
    (now,), (before,) = lock.models.values(), old.models.values()
    both = lock.model_copy(update={"models": {"assistant": now.model_copy(update={"previous": before})}})
    keep = Keep(needs_of(both, "the lock names it"))
    back = "it is the version before, for model rollback"
    for downloaded in (False, True):
        found = [keep.reason(weights(one, downloaded=downloaded)) for one in (lock, old)]
        assert found == ["the lock names it", back]

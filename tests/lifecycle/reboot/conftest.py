from __future__ import annotations

from types import SimpleNamespace

import pytest

from rackwright.lifecycle.reboot import boot_identity
from tests.lifecycle.reboot.bench import bench as bench
from tests.lifecycle.simulation import Clock


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Time passes only while a reboot is waited for."""
    made = Clock()
    monkeypatch.setattr(boot_identity, "time", SimpleNamespace(monotonic=made.now, sleep=made.sleep))
    return made

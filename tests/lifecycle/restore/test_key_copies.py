"""Which copies of API keys count when an operator asks for a snapshot from before an attack."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rackwright.fleet.keys_file import ApiKey
from rackwright.lifecycle.backup.at import NEWEST, At
from rackwright.lifecycle.restore import key_copies
from rackwright.state.api_keys.pushed_keys import PushedKey
from rackwright.state.formats import utc_now
from tests.fleet.fleets import make_fleet

NOW = utc_now()


def line(id: str, *, revoked: bool = False) -> str:
    key = ApiKey(id=id, owner="tests", sha256=id[0] * 64, created=NOW)
    pushed = PushedKey(key=key, who="eve", when=NOW, revoked=revoked)
    return f"{key.sha256} {'revoked' if revoked else 1} @ {pushed.line}\n"


PUSHED = {
    "host": line("forged-here"),
    "newest": line("efforged") + line("bad", revoked=True),
    "older": line("cold") + line("bad"),
}
"""Where a copy is → its keys.pushed. The key `bad` was revoked after the older snapshot."""


@pytest.mark.parametrize(
    ("at", "restored", "added"),
    [
        (NEWEST, "gate1", {"forged-here", "efforged"}),
        (At("12h", until=NOW - timedelta(hours=12)), "gate1", {"cold", "bad"}),
        (At("12h", until=NOW - timedelta(hours=12)), "gate2", {"forged-here", "efforged"}),
    ],
)
def test_with_an_older_snapshot_only_that_one_adds_keys_and_each_revocation_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: At, restored: str, added: set[str]
) -> None:
    def chosen(_: object, __: str, ___: object, wanted: At) -> object:
        name = "newest" if wanted == NEWEST else "older"
        return SimpleNamespace(reader=name, snapshot=SimpleNamespace(id=name, time=NOW))

    def read(place: str) -> Any:
        return lambda path: PUSHED[place] if path == "/var/lib/rackwright/keys.pushed" else None

    monkeypatch.setattr(key_copies, "choose", chosen)
    monkeypatch.setattr(key_copies, "_on_host", lambda *_: read("host"))
    monkeypatch.setattr(key_copies, "_in_snapshot", lambda _, snapshot: read(snapshot))
    session = SimpleNamespace(fleet=make_fleet(tmp_path / "acme.yml"), hosts={restored: None})
    ways = (SimpleNamespace(repository="one"),)
    found = key_copies._of_host(cast(Any, session), "gate1", cast(Any, ways), at)
    assert {one.key.id for one in found.pushed if not one.revoked} == added
    assert {one.key.id for one in found.pushed if one.revoked} == {"bad"}
    assert not found.missed

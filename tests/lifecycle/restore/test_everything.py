"""restore --all: which differences from the applied files are expected, and hosts without a snapshot."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import pytest

from rackwright.errors import UsageError
from rackwright.lifecycle.backup.at import At
from rackwright.lifecycle.restore import everything, procedure
from rackwright.lifecycle.restore.asked import Asked
from rackwright.lifecycle.session.session import Session
from tests.lifecycle.restore.host import Bench

LOCAL = {"acme.yml": b"a", "acme.lock": b"l", "acme.keys.yml": b"merged", "acme.known_hosts": b"new"}


@pytest.mark.parametrize(
    ("applied", "expected"),
    [
        (LOCAL, True),
        (LOCAL | {"acme.keys.yml": b"before", "acme.known_hosts": b"old"}, True),
        ({name: text for name, text in LOCAL.items() if name != "acme.keys.yml"}, True),
        (LOCAL | {"acme.yml": b"newer"}, False),
        (LOCAL | {"acme.lock": b"newer"}, False),
        (LOCAL | {"other.ca.crt": b"x"}, False),
    ],
)
def test_only_merged_keys_and_new_pins_differ_as_expected(
    monkeypatch: pytest.MonkeyPatch, applied: dict[str, bytes], *, expected: bool
) -> None:
    monkeypatch.setattr(everything, "read_applied", lambda _: SimpleNamespace(files=applied))
    monkeypatch.setattr(everything, "checkout", lambda _: SimpleNamespace(files=LOCAL))
    fleet = SimpleNamespace(control=("gate1",), sibling=lambda suffix: SimpleNamespace(name=f"acme.{suffix}"))
    session = cast(Session, SimpleNamespace(fleet=fleet, remote=SimpleNamespace(connection=lambda _: None)))
    assert everything._differ_as_expected(session) is expected


def test_a_host_without_a_snapshot_stops_a_restore_by_name_and_not_one_of_all(bench: Bench) -> None:
    none = At("1999-01-01", until=datetime(1999, 1, 1, tzinfo=UTC))
    with bench.ways() as ways:
        with pytest.raises(UsageError, match="has no snapshot"):
            procedure._planned_or_not(bench.session, "gate1", ways, Asked(at=none))
        why = procedure._planned_or_not(bench.session, "gate1", ways, replace(Asked(at=none), everything=True))
    assert isinstance(why, str)
    assert "has no snapshot" in why

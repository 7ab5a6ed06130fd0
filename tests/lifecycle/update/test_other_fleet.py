"""What counts as proven at another site: the record of its control host, read by a real shell in a test's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rackwright.errors import LeasedError, ProofError
from rackwright.lifecycle.proof.golden_answers import kind_of
from rackwright.lifecycle.update.other_fleet import recorded
from rackwright.roles.replica.answer import Answer, By
from rackwright.state.formats import utc_now
from rackwright.state.golden import Golden, write_golden
from rackwright.state.journal import Entry, Event
from rackwright.state.store import FileStore
from rackwright.values.file import File
from tests.lifecycle.proving import FILES, Moved, site_of


@pytest.fixture
def control(tmp_path: Path) -> Moved:
    return Moved("gate1", folder=tmp_path)


def record(session: Any, control: Moved) -> Golden:
    replica = session.fleet.replicas[1]
    answer = Answer(text="yes", by=By.WORDS, tokens=())
    golden = Golden(
        kind=kind_of(session, replica), answer=answer, replica=replica.address, run="r", when=utc_now(), who="ada"
    )
    return write_golden(FileStore(control), golden)


def test_a_recorded_answer_of_these_weights_is_a_proof(control: Moved) -> None:
    session = site_of({})
    record(session, control)
    found = recorded(session.fleet, session.lock, "assistant", FileStore(control))
    assert (found.replica, found.who) == ("gpu2/assistant@1", "ada")


def test_other_weights_than_were_proven_are_none(control: Moved) -> None:
    record(site_of({}), control)
    other: tuple[File, ...] = (FILES[0].model_copy(update={"sha256": "c" * 64}),)
    session = site_of({}, files=other)
    with pytest.raises(
        ProofError, match=r"was not proven on any replica of acme.*\n  next: rackwright -f acme.yml apply"
    ):
        recorded(session.fleet, session.lock, "assistant", FileStore(control))


def test_an_open_rollout_there_is_waited_for(control: Moved, tmp_path: Path) -> None:
    session = site_of({})
    record(session, control)
    opened = Entry(
        time=utc_now(), rollout="x1", run="x1", operator="ben", event=Event.OPENED, detail="model update assistant"
    )
    (tmp_path / "control").mkdir()
    (tmp_path / "control" / "journal").write_text(opened.line())
    with pytest.raises(LeasedError, match="x1 of ben is open: model update assistant"):
        recorded(session.fleet, session.lock, "assistant", FileStore(control))

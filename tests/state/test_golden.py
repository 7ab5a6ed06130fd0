from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.errors import RackwrightError
from rackwright.roles.replica.answer import Answer, By, Token
from rackwright.state.formats import utc_now
from rackwright.state.golden import Golden, Kind, golden_path, read_golden, write_golden
from rackwright.state.store import ControlStore, FileStore

KIND = Kind(
    model="assistant",
    digest="d" * 64,
    runtime="llama_cpp-b1",
    build="e" * 64,
    processor="cpu",
    settings=('args={"flash-attn": "on"}',),
    prompt=1,
)
ANSWER = Answer(text=" aéb", by=By.TOKENS, tokens=(Token(text=" aéb", candidates={" aéb": -0.1, "c": -2.0}),))


def golden(replica: str = "gpu1/assistant@1", kind: Kind = KIND) -> Golden:
    return Golden(kind=kind, answer=ANSWER, replica=replica, run="20261126T010214Z-3949", when=utc_now(), who="ada")


def test_what_is_kept_comes_back_and_the_first_stays(store: ControlStore) -> None:
    assert read_golden(store, KIND) is None
    first = golden()
    assert write_golden(store, first) == first
    assert write_golden(store, golden("gpu2/assistant@1")) == first
    assert read_golden(store, KIND) == first


def test_its_file_is_readable_and_nothing_else_is_left(file_store: FileStore) -> None:
    for replica in ("gpu1/assistant@1", "gpu2/assistant@1"):
        write_golden(file_store, golden(replica))
    path = Path(file_store.folder).parent / golden_path(KIND)
    assert [found.name for found in path.parent.iterdir()] == [path.name]
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("other", [{"digest": "f" * 64}, {"settings": ()}, {"prompt": 2}, {"processor": "gpu"}])
def test_another_kind_has_an_answer_of_its_own(store: ControlStore, other: dict[str, object]) -> None:
    write_golden(store, golden())
    assert read_golden(store, KIND.model_copy(update=other)) is None


def test_one_of_a_newer_rackwright_is_refused(store: ControlStore) -> None:
    newer = golden().model_copy(update={"format": "golden/2"})
    store.put_first(golden_path(KIND), newer.model_dump_json())
    for act in (lambda: read_golden(store, KIND), lambda: write_golden(store, golden())):
        with pytest.raises(RackwrightError) as caught:
            act()
        assert f"{store.place(golden_path(KIND))}: was written by a newer rackwright (golden/2)" in str(caught.value)

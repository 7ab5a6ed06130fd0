from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.errors import RackwrightError
from rackwright.roles.replica.answer import Answer, By, Token
from rackwright.state.formats import utc_now
from rackwright.state.golden import Golden, Kind, golden_path, read_golden, write_golden
from tests.shells import LocalShell

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


def test_what_is_kept_comes_back_and_the_first_stays(tmp_path: Path) -> None:
    folder, shell = str(tmp_path / "rack wright"), LocalShell()
    assert read_golden(shell, KIND, folder=folder) is None
    first = golden()
    assert write_golden(shell, first, folder=folder) == first
    assert write_golden(shell, golden("gpu2/assistant@1"), folder=folder) == first
    assert read_golden(shell, KIND, folder=folder) == first
    path = Path(golden_path(KIND, folder))
    assert [found.name for found in path.parent.iterdir()] == [path.name]
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("other", [{"digest": "f" * 64}, {"settings": ()}, {"prompt": 2}, {"processor": "gpu"}])
def test_another_kind_has_an_answer_of_its_own(tmp_path: Path, other: dict[str, object]) -> None:
    write_golden(LocalShell(), golden(), folder=str(tmp_path))
    assert read_golden(LocalShell(), KIND.model_copy(update=other), folder=str(tmp_path)) is None


def test_one_of_a_newer_rackwright_is_refused(tmp_path: Path) -> None:
    write_golden(LocalShell(), golden(), folder=str(tmp_path))
    path = Path(golden_path(KIND, str(tmp_path)))
    path.write_text(path.read_text().replace("golden/1", "golden/2"))
    newer = rf"{path}: was written by a newer rackwright \(golden/2\)"
    with pytest.raises(RackwrightError, match=newer):
        read_golden(LocalShell(), KIND, folder=str(tmp_path))
    with pytest.raises(RackwrightError, match=newer):
        write_golden(LocalShell(), golden(), folder=str(tmp_path))

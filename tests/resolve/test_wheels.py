"""Wheels, over a stand-in index on loopback (tests/stand_in_index.py): uv is real, and nothing leaves the machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rackwright.errors import FleetError
from rackwright.fleet.source import FileSource
from rackwright.resolve.package_index import Index
from rackwright.resolve.web import quiet
from rackwright.resolve.wheels import wheels_of_folder, wheels_of_requirements
from rackwright.values.file import File
from tests.stand_in_index import StandInIndex, Wheel, wheel

HOSTS = wheel("tiny", "1.0", "cp313-cp313-manylinux_2_28_x86_64")
ANY = wheel("tiny", "1.0")
OTHERS = (
    wheel("tiny", "1.0", "cp312-cp312-manylinux_2_28_x86_64"),
    wheel("tiny", "1.0", "cp314-cp314-manylinux_2_28_x86_64"),
    wheel("tiny", "1.0", "cp313-cp313-manylinux_2_28_aarch64"),
    wheel("tiny", "1.0", "cp313-cp313-manylinux_2_41_x86_64"),
    wheel("tiny", "1.0", "cp313-cp313-musllinux_1_2_x86_64"),
    wheel("tiny", "1.0", "cp313-cp313-win_amd64"),
)
DEPENDENT = wheel("needy", "2.0", needs=["tiny>=1"])


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))


@pytest.fixture
def index() -> Iterator[StandInIndex]:
    with StandInIndex({"tiny": [*OTHERS, HOSTS, ANY], "needy": [DEPENDENT]}) as index:
        yield index


def resolved(text: str, index: StandInIndex, python: str = "3.13") -> tuple[File, ...]:
    return wheels_of_requirements(
        text,
        python=python,
        index=Index(index.url, index.route),
        where="site.yml models.a",
    )


def refusal(text: str, index: StandInIndex) -> str:
    with pytest.raises(FleetError) as caught:
        resolved(text, index)
    return str(caught.value)


def file_of(one: Wheel, index: StandInIndex) -> File:
    return File(path=one.name, size=len(one.content), sha256=one.sha256, url=index.url_of(one))


def test_a_requirement_is_the_hosts_wheels_of_all_that_it_needs(index: StandInIndex) -> None:
    assert set(resolved("needy==2.0\n", index)) == {file_of(DEPENDENT, index), file_of(HOSTS, index)}
    assert not any(one.name in asked for asked in index.asked for one in OTHERS)


def test_the_hosts_python_decides_not_this_machines(index: StandInIndex) -> None:
    assert resolved("tiny\n", index, "3.12") == (file_of(OTHERS[0], index),)
    assert resolved("tiny\n", index, "3.11") == (file_of(ANY, index),)


def test_a_wheel_whose_hash_is_named_is_taken(index: StandInIndex) -> None:
    for one in (HOSTS, ANY):
        assert resolved(f"tiny==1.0 --hash=sha256:{one.sha256}\n", index) == (file_of(one, index),)


def test_a_wheel_that_has_none_of_the_named_hashes_is_refused(index: StandInIndex) -> None:
    said = refusal(f"tiny==1.0 --hash=sha256:{'0' * 64}\n", index)
    assert said.startswith("site.yml models.a: ")
    assert "0" * 64 in said or f"{HOSTS.name}: not one of its hashes" in said


def test_what_needs_a_package_without_a_hash_among_hashes_is_refused(index: StandInIndex) -> None:
    said = refusal(f"needy==2.0 --hash=sha256:{DEPENDENT.sha256}\n", index)
    assert "tiny" in said


def test_what_the_index_has_not_is_told_in_the_resolvers_words(index: StandInIndex) -> None:
    said = refusal("tiny==9.9\n", index)
    assert "site.yml models.a: no wheels for Python 3.13:\n" in said
    assert "tiny==9.9" in said
    assert "should be a version with wheels for it in the package index" in said


def test_an_index_that_tells_no_size_cannot_be_locked() -> None:
    with StandInIndex({"tiny": [ANY]}, sizes=False) as index:
        assert "tiny 1.0 has no wheel with a size and a sha256" in refusal("tiny\n", index)


def test_wheels_by_plain_http_are_refused() -> None:
    with StandInIndex({"tiny": [ANY]}, plain_http=True) as index:
        said = refusal("tiny\n", index)
        assert f"{ANY.name} is at {index.url_of(ANY)}; should be from a package index with https" in said


def test_a_wheel_whose_hash_is_not_told_is_fetched_to_be_hashed() -> None:
    with StandInIndex({"tiny": [ANY]}, hashes=False) as index:
        assert resolved("tiny\n", index) == (file_of(ANY, index),)


@pytest.mark.parametrize("name", ["UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"])
def test_this_machines_indexes_have_no_say_beside_the_fleet_files(
    index: StandInIndex, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with StandInIndex({"tiny": [wheel("tiny", "1.0", files={"tiny/__init__.py": "other = 1"})]}) as mine:
        monkeypatch.setenv(name, mine.url)
        assert resolved("tiny\n", index) == (file_of(HOSTS, index),)
        assert mine.asked == []


def test_without_one_this_machines_index_answers_and_its_password_stays_here(
    index: StandInIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.url.replace("//", "//me:hunter2@"))
    found = wheels_of_requirements("tiny\n", python="3.13", index=Index(None, index.route), where="x")
    assert found == (file_of(HOSTS, index),)


def test_a_folder_of_wheels_is_hashed_and_nothing_else_in_it_counts(tmp_path: Path) -> None:
    for one in (ANY, DEPENDENT):
        (tmp_path / one.name).write_bytes(one.content)
    (tmp_path / "tiny-1.0.tar.gz").write_bytes(b"sources")
    found = wheels_of_folder(tmp_path, FileSource("wheels"), where="x", on_progress=quiet)
    assert [(one.path, one.sha256) for one in found] == [(one.name, one.sha256) for one in (DEPENDENT, ANY)]
    assert [one.url for one in found] == [f"file:wheels/{one.path}" for one in found]


def test_a_folder_without_wheels_is_named(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match=r"x: .* has no wheels; .*a requirements file"):
        wheels_of_folder(tmp_path, FileSource("wheels"), where="x", on_progress=quiet)

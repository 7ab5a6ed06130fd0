"""Compiled templates are kept, where that is possible."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rackwright.operations.haproxy import config_text as rendering


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "of").mkdir()
    (tmp_path / "of" / "a.j2").write_text("{{ word }}!\n")
    rendering._environment.cache_clear()
    return tmp_path / "of"


def test_a_template_is_compiled_once_and_anew_when_it_is_another(folder: Path) -> None:
    assert rendering.render(folder, "a.j2", word="one") == "one!\n"
    (kept,) = (folder.parent / "cache/rackwright/templates").iterdir()
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    before = kept.stat()
    rendering._environment.cache_clear()
    assert rendering.render(folder, "a.j2", word="two") == "two!\n"
    assert kept.stat() == before
    (folder / "a.j2").write_text("{{ word }}?\n")
    rendering._environment.cache_clear()
    assert rendering.render(folder, "a.j2", word="three") == "three?\n"


@pytest.mark.parametrize(("mode", "owner"), [(0o770, None), (0o700, 4242)])
def test_what_somebody_else_could_have_put_there_is_not_run(folder: Path, mode: int, owner: int | None) -> None:
    cache = folder.parent / "cache/rackwright/templates"
    cache.mkdir(parents=True)
    cache.chmod(mode)
    if owner:
        os.chown(cache, owner, owner)
    assert rendering.render(folder, "a.j2", word="one") == "one!\n"
    assert not list(cache.iterdir())


@pytest.mark.parametrize("where", ["cache", "cache/rackwright/templates"])
def test_a_cache_that_cannot_be_written_costs_only_the_time(folder: Path, where: str) -> None:
    path = folder.parent / where
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("in the way")
    assert rendering.render(folder, "a.j2", word="one") == "one!\n"

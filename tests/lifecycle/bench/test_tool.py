from __future__ import annotations

import re
from pathlib import Path

import pytest

import rackwright
from rackwright.errors import RackwrightError
from rackwright.lifecycle.bench.tool import REQUIREMENTS, VERSION, ensure
from rackwright.resolve.package_index import Index
from rackwright.route import DIRECT

LIST = REQUIREMENTS.read_text()
NAMED = re.findall(r"^([a-z0-9._-]+)==(\S+)((?:.|\n(?= ))*)", LIST, re.MULTILINE)


def test_every_package_is_named_by_version_and_hash():
    assert len(NAMED) > 50
    assert [name for name, _, rest in NAMED if "--hash=sha256:" not in rest] == []
    assert dict(pair[:2] for pair in NAMED)["guidellm"] == VERSION


def test_no_place_is_named_and_neither_torch_nor_what_it_brings():
    assert "://" not in LIST
    assert [name for name, *_ in NAMED if re.match(r"torch|triton|nvidia|cuda", name)] == []


def test_nothing_of_ours_imports_the_tool_or_what_drives_it():
    # Search the text: ast.parse sometimes fails in CPython 3.11 (python/cpython#106905).
    statement = re.compile(
        r"^\s*(?:from|import)\s.*(?:\bguidellm\b|\bbench\.driver\b|\bbench import driver\b)", re.MULTILINE
    )
    assert statement.search("    from rackwright.lifecycle.bench.driver import main")
    for path in Path(rackwright.__file__).parent.rglob("*.py"):
        assert statement.findall(path.read_text(encoding="utf-8")) == [], path


def test_the_tool_is_no_dependency_of_ours():
    project = Path(rackwright.__file__).parents[1]
    assert "guidellm" not in (project / "pyproject.toml").read_text()
    assert "guidellm" not in (project / "uv.lock").read_text()


def test_an_index_that_does_not_answer_is_named_and_nothing_half_made_is_taken(tmp_path, monkeypatch):
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    nobody = Index("http://127.0.0.1:9/simple", DIRECT)
    for _ in range(2):
        with pytest.raises(
            RackwrightError, match=r"(?s)guidellm 0\.8\.1: can't be installed:.*downloads\.package_index"
        ) as error:
            ensure(nobody, lambda _: None, cache=tmp_path)
        assert "127.0.0.1:9" in str(error.value)
    assert not list(tmp_path.glob("*/ready"))

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import rackwright
from rackwright.lifecycle.bench.tool import REQUIREMENTS, VERSION, Packages, packages_of
from rackwright.route import DIRECT, Route
from tests.fleet.fleets import make_fleet

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
    for path in Path(rackwright.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            module = getattr(node, "module", "") or ""
            assert not [name for name in (module, *names) if name.startswith("guidellm")], path
            assert not module.endswith("bench.driver"), path


def test_the_tool_is_no_dependency_of_ours():
    project = Path(rackwright.__file__).parents[1]
    assert "guidellm" not in (project / "pyproject.toml").read_text()
    assert "guidellm" not in (project / "uv.lock").read_text()


@pytest.mark.parametrize(
    ("packages", "options"),
    [
        (Packages(None, DIRECT), ()),
        (Packages("https://pypi.acme.internal/simple", DIRECT), ("--index-url", "https://pypi.acme.internal/simple")),
        (Packages(None, Route(proxy="http://proxy:3128")), ("--proxy", "http://proxy:3128")),
        (
            Packages("https://pypi.acme.internal", Route(proxy="http://proxy:3128", no_proxy=("acme.internal",))),
            ("--index-url", "https://pypi.acme.internal"),
        ),
        (Packages(None, Route(ca_bundle="/ca.pem")), ("--cert", "/ca.pem")),
    ],
)
def test_its_packages_come_the_way_that_the_fleet_file_says(packages, options):
    assert packages.pip_options == options


def test_the_way_is_that_of_the_fleet_files_site(tmp_path):
    site = {"package_index": "https://pypi.acme.internal/simple", "proxy": "http://proxy:3128"}
    packages = packages_of(make_fleet(tmp_path / "site.yml", site=site))
    assert packages.index == "https://pypi.acme.internal/simple"
    assert packages.route.proxy == "http://proxy:3128"

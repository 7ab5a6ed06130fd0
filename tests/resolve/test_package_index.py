from __future__ import annotations

import os

import pytest

from rackwright.resolve.package_index import Index, index_of, run_uv
from rackwright.route import DIRECT, Route
from tests.fleet.fleets import make_fleet


@pytest.mark.parametrize(
    ("route", "environment"),
    [
        (DIRECT, {}),
        (
            Route(proxy="http://proxy:3128", no_proxy=("acme.internal", "10.0.0.0/8")),
            {"ALL_PROXY": "http://proxy:3128", "NO_PROXY": "acme.internal,10.0.0.0/8"},
        ),
        (Route(ca_bundle="/ca.pem"), {"SSL_CERT_FILE": "/ca.pem"}),
    ],
)
def test_packages_come_the_way_that_the_fleet_file_says(monkeypatch, route, environment):
    monkeypatch.setattr(os, "environ", {"PATH": "/bin"})
    assert Index(None, route).environment == {"PATH": "/bin", **environment}


def test_the_index_and_the_proxy_are_those_of_the_fleet_file(tmp_path):
    site = {"package_index": "https://pypi.acme.internal/simple", "proxy": "http://proxy:3128"}
    index = index_of(make_fleet(tmp_path / "site.yml", downloads=site))
    assert (index.url, index.route.proxy) == ("https://pypi.acme.internal/simple", "http://proxy:3128")


def test_what_uv_says_is_told_and_nothing_where_it_does_not_fail():
    index = Index(None, DIRECT)
    assert run_uv(["venv", "--help"], index, seconds=60) is None
    assert "unrecognized subcommand 'nosuch'" in (run_uv(["nosuch"], index, seconds=60) or "")


def test_an_index_that_takes_too_long_is_no_bug_of_ours():
    assert run_uv(["pip", "list"], Index(None, DIRECT), seconds=0) == "uv did not finish within 0 s"

"""A copy of an applied host, after its own fleet's apply, is what a bare host is after one, and nobody's twin."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rackwright.lab.hosts import Lab
from tests.lab.labs import fresh_lab
from tests.lab.operator import Operator, operator
from tests.lab.standard import standard_lab
from tests.lab.tree import tree

pytestmark = pytest.mark.lab
HOSTS = ("gate1", "gpu1")


@pytest.fixture(scope="module")
def copies() -> Iterator[Lab]:
    with standard_lab("copies", *HOSTS, "gpu2") as lab:
        yield lab


@pytest.fixture(scope="module")
def site(copies: Lab, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    site = operator(tmp_path_factory.mktemp("site"), copies.fleet())
    assert 0 < site("apply", "--yes", "--json").json["changed"] < 50
    return site


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The same hosts, bare before their apply."""
    with fresh_lab("applied", *HOSTS, "gpu2") as lab:
        operator(tmp_path_factory.mktemp("applied"), lab.fleet())("apply", "--yes")
        yield lab


def test_an_apply_finds_nothing_more_to_change_and_verify_passes(site: Operator) -> None:
    assert site("apply", "--yes", "--json").json["changed"] == 0
    assert site("verify", "--json").json["failed"] == 0


@pytest.mark.parametrize("host", HOSTS)
def test_a_copy_has_what_a_host_has_that_was_bare(site: Operator, copies: Lab, applied: Lab, host: str) -> None:
    assert tree(copies, host).same == tree(applied, host).same


def test_no_two_hosts_share_an_identity(site: Operator, copies: Lab, applied: Lab) -> None:
    hosts = [(copies, "gpu1"), (copies, "gpu2"), (applied, "gpu1")]
    owned = [tree(lab, host).own for lab, host in hosts]
    for path in owned[0]:
        if path.endswith(("machine-id", "_key", ".crt", ".cred", ".secret")) and ".ca." not in path:
            assert len({own[path] for own in owned}) == len(hosts), path
    authorities = [{about for path, about in own.items() if path.endswith(".ca.crt")} for own in owned]
    assert authorities[0] == authorities[1]
    assert not authorities[0] & authorities[2]

"""A copy of an applied host, after its own fleet's apply, equals a bare host after one, and has its own identity."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from rackwright.lab.hosts import Lab
from tests.lab.labs import fresh_lab
from tests.lab.operator import Operator, operator
from tests.lab.standard import standard_lab
from tests.lab.tree import tree

pytestmark = pytest.mark.lab
HOSTS = ("gate1", "gpu1")
SPARE = "spare1"
"""A second copy of gpu1, which the fleet file leaves out."""


@pytest.fixture(scope="module")
def copies() -> Iterator[Lab]:
    with standard_lab("copies", *HOSTS, SPARE) as lab:
        yield lab


@pytest.fixture(scope="module")
def site(copies: Lab, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    site = operator(tmp_path_factory.mktemp("site"), copies.fleet())
    assert 0 < site("apply", "--yes", "--json").json["changed"] < 50
    return site


@pytest.fixture(scope="module")
def applied(site: Operator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The same hosts, bare before their apply."""
    folder = tmp_path_factory.mktemp("applied")
    # A lock says since when it has a model, and the gateways tell clients.
    shutil.copy(site.path.with_suffix(".lock"), folder)
    with fresh_lab("applied", *HOSTS) as lab:
        operator(folder, lab.fleet())("apply", "--yes")
        yield lab


def test_an_apply_finds_nothing_more_to_change_and_verify_passes(site: Operator) -> None:
    assert site("apply", "--yes", "--json").json["changed"] == 0
    assert site("verify", "--json").json["failed"] == 0


@pytest.mark.parametrize("host", HOSTS)
def test_a_copy_has_what_a_host_has_that_was_bare(site: Operator, copies: Lab, applied: Lab, host: str) -> None:
    assert tree(copies, host).same == tree(applied, host).same


def test_no_two_hosts_share_an_identity(site: Operator, copies: Lab, applied: Lab) -> None:
    copied, bare = tree(copies, "gpu1").own, tree(applied, "gpu1").own
    assert {"/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key", "/var/lib/systemd/credential.secret"} <= copied.keys()
    assert copied.keys() == bare.keys()
    assert not {path for path, about in copied.items() if about == bare[path] and _is_file(about)}


def test_nor_do_two_copies_of_one_image(site: Operator, copies: Lab) -> None:
    first, second = tree(copies, "gpu1").own, tree(copies, SPARE).own
    shared = first.keys() & second.keys()
    assert {"/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key"} <= shared
    assert {path for path in shared if first[path] == second[path]} <= {"/home/ops/.ssh/authorized_keys"}
    # The secret that opens a host's credentials is created when the first one is encrypted.
    assert "/var/lib/systemd/credential.secret" not in second


def _is_file(about: str) -> bool:
    return about.startswith("100")

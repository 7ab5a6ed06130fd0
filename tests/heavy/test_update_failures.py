"""Failures during an update of a model or runtime: after each, the old version serves, and the output says why."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rackwright.lab.hosts import Lab
from tests.lab.operator import Operator, operator, read_until
from tests.lab.standard import standard_lab
from tests.lab.two_replicas import HOSTS, all_serve, running
from tests.lab.versions import Versions
from tests.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "rackwright/lifecycle/rollout/change.py",
    "rackwright/lifecycle/rollout/engine_changes.py",
    "rackwright/lifecycle/proof/identity.py",
    "rackwright/lifecycle/update/unfinished.py",
    "rackwright/lifecycle/proof/procedure.py",
    "rackwright/lifecycle/update/resume.py",
    "rackwright/lifecycle/rollout/procedure.py",
    "rackwright/lifecycle/update/procedure.py",
    "rackwright/lifecycle/proof/weights.py",
    "rackwright/operations/filesystem/place.sh",
    "rackwright/operations/filesystem/put_in_place.sh",
    "rackwright/operations/filesystem/stored_folder.py",
    "rackwright/state/lease_session.py",
    "rackwright/state/lease.py",
    "rackwright/state/rollout.py",
    "roles/model_store",
    "roles/replica",
)
CONTROLLERS = 16
SMALL_DISK = """set -e
mkdir /small
mount -t tmpfs -o size=1m none /small
cd /srv/models
for kept in assistant/*; do mkdir -p "/small/$kept"; mount --bind "$kept" "/small/$kept"; done
mount --rbind /small /srv/models
"""
"""Keeps the existing weights, on a disk without room for others."""
LARGE_AGAIN = "umount -R /srv/models && umount -R /small && rmdir /small"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with standard_lab("failures", "gate1", *HOSTS) as lab:
        yield lab


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    made = operator(tmp_path_factory.mktemp("site"), lab.fleet())
    made.edit("rollout: {", "rollout: {start_timeout: 20s, ")
    return made


@pytest.fixture(scope="module")
def model(site: Operator) -> Versions:
    versions = Versions(site)
    site("lock")
    site("apply", "--yes")
    return versions


@pytest.fixture
def unchanged(site: Operator, model: Versions, lab: Lab) -> Iterator[None]:
    """Check that afterwards everything runs and serves as before, and that no rollout is open."""
    before = model.locked
    yield
    assert model.locked == before
    assert running(lab) == {model.digest[:16]}
    assert all_serve(site)
    assert "no rollout is open" in site("rollout", "status").out


@pytest.mark.usefixtures("unchanged")
def test_a_disk_that_is_too_small_for_the_new_weights(site: Operator, model: Versions, lab: Lab) -> None:
    lab.exec("gpu2", SMALL_DISK)
    model.good("no room")
    said = site("model", "update", "assistant", "--yes", check=3)
    lab.exec("gpu2", LARGE_AGAIN)
    assert "could not fetch weights or runtimes" in said.err
    assert "gpu2" in said.err
    assert "the running service is unchanged" in said.err


@pytest.mark.usefixtures("unchanged")
def test_a_host_that_dies_under_change(site: Operator, model: Versions, lab: Lab) -> None:
    model.good("dies")
    process = site.start("model", "update", "assistant", "--yes")
    read_until(process, "gpu1/assistant@1  updating")
    lab.kill("gpu1")
    assert process.stdout is not None
    said = process.stdout.read()
    assert process.wait() == 3, said
    assert "could not be reverted" in said
    assert "stays open" in said
    assert site.replicas()["gpu2/assistant@1"]["traffic"] == "yes"
    lab.start("gpu1")
    site("rollout", "abort", "--yes")


@pytest.mark.usefixtures("unchanged")
def test_a_host_whose_network_is_cut_under_change(site: Operator, model: Versions, lab: Lab) -> None:
    model.good("cut off")
    process = site.start("model", "update", "assistant", "--yes")
    read_until(process, "gpu1/assistant@1  updating")
    lab.cut_network("gpu1")
    try:
        assert process.stdout is not None
        said = process.stdout.read()
        assert process.wait() == 3, said
        assert "stays open" in said
        assert site.replicas()["gpu2/assistant@1"]["traffic"] == "yes"
    finally:
        lab.mend_network("gpu1")
    site("rollout", "abort", "--yes")


def test_a_flipped_bit_in_stored_weights(site: Operator, model: Versions, lab: Lab) -> None:
    old = model.digest
    model.good("newer")
    site("model", "update", "assistant", "--yes")
    weights = f"/srv/models/assistant/{old[:16]}/{model.file.name}"
    lab.exec("gpu2", f"printf X | dd of={weights} bs=1 seek=50000000 conv=notrunc")
    said = site("model", "rollback", "assistant", "--yes", check=12)
    assert "gpu2" in said.err
    assert model.file.name in said.err
    assert running(lab) == {model.digest[:16]}
    assert model.digest != old
    assert all_serve(site)


def test_of_many_controllers_at_once_one_wins(site: Operator, model: Versions, lab: Lab) -> None:
    model.good("of many")
    site.path.with_name("test.lock.next").unlink(missing_ok=True)
    begun = [site.start("model", "update", "assistant", "--yes") for _ in range(CONTROLLERS)]
    said = [process.communicate(timeout=300)[0] for process in begun]
    ended = [process.returncode for process in begun]
    (winner,) = [
        text for text, code in zip(said, ended, strict=True) if code == 0 and "every replica already runs" not in text
    ]
    assert "model update assistant: done" in winner
    assert set(ended) <= {0, 11}
    assert ended.count(11) >= CONTROLLERS // 2
    wait_until(lambda: all_serve(site))
    assert running(lab) == {model.digest[:16]}

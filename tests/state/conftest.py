from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rackwright.state.etcd.etcd_store import EtcdStore
from rackwright.state.store import ControlStore, FileStore
from tests.etcd_cluster import Cluster, cluster_in
from tests.shells import LocalShell


@pytest.fixture
def file_store(tmp_path: Path) -> FileStore:
    return FileStore(LocalShell(), str(tmp_path / "var lib" / "control"))


@pytest.fixture(scope="session")
def running_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster_in(tmp_path_factory.mktemp("etcd")) as cluster:
        yield cluster


@pytest.fixture
def cluster(running_cluster: Cluster) -> Iterator[Cluster]:
    """Three members that all answer, without a key."""
    running_cluster.empty()
    yield running_cluster
    running_cluster.whole()


@pytest.fixture
def etcd_store(cluster: Cluster) -> EtcdStore:
    return cluster.store()


@pytest.fixture(params=["file", "etcd"])
def store(request: pytest.FixtureRequest) -> ControlStore:
    """Each of the stores: what uses it is part of their contract."""
    found: ControlStore = request.getfixturevalue(f"{request.param}_store")
    return found

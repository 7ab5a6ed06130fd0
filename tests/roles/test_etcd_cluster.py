"""A real cluster of etcd with the role's settings: what members and clients may do, faults, a rotation of the CA."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rackwright.fleet.ca import CertificateAuthority
from rackwright.fleet.hosts.etcd import etcd_certificate
from tests.roles.etcd_cluster import HOSTS, Cluster, answers, running
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("etcd")) as cluster:
        yield cluster


def test_what_one_member_writes_another_reads(cluster: Cluster) -> None:
    cluster.put("gpu1", "lease/acme", "anna")
    assert cluster.get("gpu2", "lease/acme") == "anna"
    listed = cluster.ctl("gate1", "member", "list").stdout.splitlines()
    assert sorted(line.split(", ")[2] for line in listed) == sorted(HOSTS)


def test_every_setting_is_one_that_etcd_knows(cluster: Cluster) -> None:
    logs = "".join(map(cluster.log, HOSTS))
    assert "unrecognized environment variable" not in logs
    assert "conflicting" not in logs


@pytest.mark.parametrize(
    ("issued_to", "client"),
    [
        (("gate1",), True),
        (("gate1", "127.0.0.1", "localhost"), True),
        (("etcd.other.rackwright.internal", "127.0.0.1"), True),
        # A server's certificate with the right name is none of a client.
        (("etcd.acme.rackwright.internal", "127.0.0.1"), False),
    ],
)
def test_another_certificate_of_the_fleets_ca_is_refused(
    cluster: Cluster, tmp_path: Path, issued_to: tuple[str, ...], client: bool
) -> None:
    """Gateways have client certificates of the same CA."""
    others = cluster.write(tmp_path / "others", issued_to, client=client)
    own, ca, address = cluster.folder_of("gpu1"), cluster.authority.ca_pem, cluster.address("gpu1")
    for port, path in ((2379, "/health"), (2380, "/version")):
        assert answers(address, port, path, ca, own)
        assert not answers(address, port, path, ca, others)


def test_no_certificate_another_ca_and_old_tls_are_refused(cluster: Cluster, tmp_path: Path) -> None:
    strange = Cluster(tmp_path)
    strange.authority = CertificateAuthority("acme", tmp_path / "acme.ca.crt", tmp_path / "keys")
    foreign = strange.write(tmp_path / "foreign", etcd_certificate(cluster.fleet, "gpu1").names, client=True)
    own, ca, address = cluster.folder_of("gpu1"), cluster.authority.ca_pem, cluster.address("gpu1")
    for port, path in ((2379, "/health"), (2380, "/version")):
        assert answers(address, port, path, ca, own)
        assert not answers(address, port, path, ca, None)
        assert not answers(address, port, path, ca, foreign)
        assert not answers(address, port, path, ca, own, tls12=True)


def test_an_impostor_of_a_member_sees_nothing(cluster: Cluster) -> None:
    """A host with another certificate of the CA, in the place and with the data of a member."""
    cluster.stop("gpu2")
    cluster.write(cluster.folder_of("gpu2"), ("gpu2", cluster.address("gpu2"), "127.0.0.1"), client=True)
    cluster.start("gpu2")
    cluster.put("gate1", "without", "gpu2")
    taken = r'"rejected connection on peer endpoint",.*"dns-names":\["gpu2"\]'
    sent = r'"prober detected unhealthy status",.*"error":"client certificate authentication failed"'
    wait_until(lambda: all(re.search(each, cluster.log("gpu1")) for each in (taken, sent)))
    cluster.stop("gpu2")
    cluster.issue("gpu2")
    cluster.start("gpu2")
    wait_until(lambda: cluster.get("gpu2", "without") == "gpu2")


def test_the_others_go_on_when_one_is_killed_and_it_comes_back(cluster: Cluster) -> None:
    cluster.stop("gate1", kill=True)
    cluster.put("gpu1", "killed", "gate1")
    cluster.start("gate1")
    cluster.put("gate1", "back", "gate1")
    assert cluster.get("gate1", "killed") == "gate1"


def test_a_large_document_fits(cluster: Cluster) -> None:
    """etcdctl itself sends 2 MiB at most."""
    document = "x" * (3 << 19)
    words = (*cluster.ctl_at("gpu1"), "put", "document")
    done = subprocess.run(words, input=document, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("OK\n", "")
    assert cluster.get("gpu2", "document") == document


def test_a_rotation_of_the_ca_one_member_after_the_other_stops_no_write(cluster: Cluster) -> None:
    def restarted(stage: str) -> None:
        for host in HOSTS:
            cluster.stop(host)
            if stage == "issued":
                cluster.issue(host)
            cluster.trust(host)
            cluster.start(host)
            for writer in HOSTS:
                cluster.put(writer, f"{stage}/{host}/{writer}", "yes")

    old = cluster.authority.ca_pem
    new = cluster.authority.new("rackwright acme")
    cluster.authority.write(old + new)
    restarted("trusted")
    cluster.authority.write(new + old)
    restarted("issued")
    cluster.authority.write(new)
    restarted("alone")

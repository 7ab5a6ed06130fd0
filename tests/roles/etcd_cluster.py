"""A real cluster of etcd on loopback, with the role's own settings and certificates of a real CA of a fleet."""

from __future__ import annotations

import os
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPSConnection
from pathlib import Path

from rackwright.fleet.ca import CertificateAuthority
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.hosts.etcd import etcd_certificate, etcd_of
from rackwright.roles.etcd import settings as names
from rackwright.roles.etcd.configuration import ctl_text, etcd_env
from tests.fleet.fleets import make_fleet
from tests.waiting import wait_until

HOSTS = ("gate1", "gpu1", "gpu2")


@dataclass
class Cluster:
    """Three members with the same processes that their hosts would have; addresses differ between test processes."""

    folder: Path
    fleet: Fleet = field(init=False)
    authority: CertificateAuthority = field(init=False)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        second, third = divmod(os.getpid(), 250)
        hosts = {
            name: {"address": f"127.{second % 250 + 1}.{third + 1}.{number}"} for number, name in enumerate(HOSTS, 1)
        }
        self.fleet = make_fleet(
            self.folder / "acme.yml", replicas={"gpu1": ["assistant@1"]}, hosts=hosts, control=list(HOSTS)
        )
        self.authority = CertificateAuthority("acme", self.folder / "acme.ca.crt", self.folder / "keys")

    def address(self, host: str) -> str:
        return str(self.fleet.service(host))

    def folder_of(self, host: str) -> Path:
        """Return the host's folder of credentials, with its data and its script."""
        (found := self.folder / host).mkdir(exist_ok=True)
        return found

    def log(self, host: str) -> str:
        return (self.folder_of(host) / "log").read_text()

    def issue(self, host: str) -> None:
        """Issue the certificate that the fleet's CA issues to this control host."""
        wanted = etcd_certificate(self.fleet, host)
        self.write(self.folder_of(host), wanted.names, client=wanted.client)

    def trust(self, host: str) -> None:
        """Let the host's next start trust the CAs that the fleet has now."""
        (self.folder_of(host) / "etcd.ca.crt").write_text(self.authority.ca_pem)

    def write(self, folder: Path, issued_to: tuple[str, ...], *, client: bool) -> Path:
        """Write certificate, CA and key as a unit's credentials; return the folder."""
        folder.mkdir(exist_ok=True)
        issued = self.authority.issue(issued_to, client=client, days=30)
        (folder / "etcd.crt").write_text(issued.certificate_pem)
        (folder / "etcd.ca.crt").write_text(self.authority.ca_pem)
        (folder / "etcd.key").write_text(issued.key.reveal())
        return folder

    def start(self, host: str) -> None:
        """Start the member; it need not serve yet."""
        member = {
            "ETCD_INITIAL_CLUSTER": ",".join(f"{name}={self._settings(name).peer_url}" for name in HOSTS),
            "ETCD_INITIAL_CLUSTER_STATE": "new",
        }
        log = (self.folder_of(host) / "log").open("ab")
        environment = {"PATH": os.environ["PATH"], **self.environment(host), **member}
        self.running[host] = subprocess.Popen(["etcd"], env=environment, stdout=log, stderr=log)

    def environment(self, host: str) -> Mapping[str, str]:
        """Return the role's settings. All members share one loopback here, so each has an address of its own."""
        text = self._here(etcd_env(self._settings(host)), host).replace(names.DATA, f"{self.folder_of(host)}/data")
        lines = (line for line in text.splitlines() if line and not line.startswith("#"))
        return dict(line.split("=", 1) for line in lines)

    def stop(self, host: str, *, kill: bool = False) -> None:
        process = self.running.pop(host)
        process.kill() if kill else process.terminate()
        process.wait(30)

    def ctl_at(self, host: str) -> tuple[str, ...]:
        """Return the words that run the role's script for root at this member."""
        script = self.folder_of(host) / "ctl"
        script.write_text(self._here(ctl_text(), host).replace("/usr/bin/etcdctl", "etcdctl"))
        return "sh", str(script)

    def ctl(self, host: str, *words: str) -> subprocess.CompletedProcess[str]:
        done = [*self.ctl_at(host), *words]
        return subprocess.run(done, capture_output=True, text=True, check=False, timeout=30)

    def put(self, host: str, key: str, value: str) -> None:
        """Write the key by this member, as soon as most members agree."""
        wait_until(lambda: self.ctl(host, "put", key, value).stdout == "OK\n")

    def get(self, host: str, key: str) -> str:
        return self.ctl(host, "get", key, "--print-value-only").stdout.rstrip("\n")

    def _settings(self, host: str) -> names.Settings:
        found = etcd_of(self.fleet, host)
        assert found is not None
        return found

    def _here(self, text: str, host: str) -> str:
        text = text.replace(names.CREDENTIALS, str(self.folder_of(host)))
        return text.replace(names.CLIENT_URL, f"https://{self.address(host)}:2379")


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """Run a cluster that has elected a leader; end its processes afterwards."""
    cluster = Cluster(folder)
    try:
        for host in HOSTS:
            cluster.issue(host)
            cluster.start(host)
        cluster.put("gate1", "first", "yes")
        yield cluster
    finally:
        for host in tuple(cluster.running):
            cluster.stop(host, kill=True)


def answers(address: str, port: int, path: str, ca: str, credentials: Path | None, *, tls12: bool = False) -> bool:
    """Return whether the port answers a request over TLS that is made with this certificate, or without one."""
    context = ssl.create_default_context(cadata=ca)
    if tls12:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    if credentials:
        context.load_cert_chain(credentials / "etcd.crt", credentials / "etcd.key")
    connection = HTTPSConnection(address, port, context=context, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (ssl.SSLError, ConnectionError, HTTPException):
        return False
    finally:
        with suppress(OSError):
            connection.close()

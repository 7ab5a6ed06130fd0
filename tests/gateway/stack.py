"""One gateway and one host proxy with two models, on loopback: real HAProxy in front of stand-in engines."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from http.client import HTTPResponse, HTTPSConnection
from ipaddress import ip_address
from pathlib import Path
from random import choice
from typing import TypeVar

from rackwright.gateway import Gateways
from rackwright.operations.haproxy.paths import Paths
from rackwright.operations.haproxy.proxy import Proxy
from rackwright.remote import Remote
from rackwright.roles.gateway import configuration as gateway_files
from rackwright.roles.gateway.settings import Key, Peer, RevokedKey, RoutedModel, Server
from rackwright.roles.gateway.settings import Settings as Gateway
from rackwright.roles.host_proxy import configuration as host_proxy_files
from rackwright.roles.host_proxy.settings import Proxied
from rackwright.roles.host_proxy.settings import Settings as HostProxy
from rackwright.values.targets import Target
from tests.gateway.certificates import CertificateAuthority
from tests.gateway.log_sink import LogSink
from tests.stand_in_engine import StandInAgent, StandInEngine, stand_in_engine
from tests.waiting import wait_until

Value = TypeVar("Value")

KEYS = {name: f"rw-{name}-" + name[0] * 43 for name in ("good", "expired", "scoped", "wrong", "limited")}
DIGEST = "d" * 64
FREE_PORTS = range(12_000, 32_000)
"""Below the kernel's ephemeral ports: a free port stays free until a test listens on it."""
GATEWAY_CHECKS = "check inter 1s fastinter 300ms downinter 500ms fall 2 rise 2"
AGENT_CHECKS = "agent-inter 1s"
"""The interval that a host's HAProxy uses."""
SOONER = {
    GATEWAY_CHECKS: "check inter 400ms fastinter 60ms downinter 100ms fall 2 rise 2",
    AGENT_CHECKS: "agent-inter 100ms",
}


def free_port() -> int:
    while True:
        port = choice(FREE_PORTS)  # noqa: S311 (no secret)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def asking_sooner(configuration: str) -> str:
    """Return a configuration with more frequent checks, so that tests wait less for their results."""
    for usual, sooner in SOONER.items():
        configuration = configuration.replace(usual, sooner)
    return configuration


def eventually(check: Callable[[], Value], seconds: float = 60) -> Value:
    """Return the first truthy value of `check`. Fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := check()):
        assert time.monotonic() < deadline, f"still {value!r} after {seconds} s"
        time.sleep(0.02)
    return value


def gone(key: Key) -> RevokedKey:
    """Return the key in its revoked form."""
    return RevokedKey(sha256=key.sha256, about=f"{key.id} of team: revoked")


def digest(key: str) -> str:
    return sha256(key.encode()).hexdigest()


@dataclass
class Running:
    """A running HAProxy, master and workers."""

    proxy: Proxy
    process: subprocess.Popen[bytes] = field(init=False)

    @property
    def paths(self) -> Paths:
        return self.proxy.paths

    def script(self, *arguments: str) -> None:
        """Run the proxy's script, as root and as the unit does, with a stand-in for systemd-creds."""
        environment = os.environ | {"PATH": f"{self.paths.certificates}/bin:{os.environ['PATH']}"}
        subprocess.run([self.proxy.script, *arguments], env=environment, check=True, timeout=60)

    def reload(self) -> None:
        self.script("reload")

    @property
    def workers(self) -> list[int]:
        """Return the process ids of the workers. The first one takes new connections."""
        rows = [line.split() for line in self.ask("show proc", "master").splitlines()]
        return [int(row[0]) for row in rows if len(row) > 1 and row[1] == "worker"]

    def wait_for_replaced(self) -> None:
        """Wait until each replaced worker has ended. Fail with the sessions and threads of those that haven't."""
        try:
            wait_until(lambda: len(self.workers) == 1)
        except AssertionError as error:
            asked = ("show info", "show sess all", "show fd", "show threads")
            kept = [self.ask(f"@!{pid} {command}", "master") for pid in self.workers[1:] for command in asked]
            raise AssertionError("\n".join([str(error), self.ask("show proc", "master"), *kept])) from error

    def merge_keys(self) -> None:
        """Let the script rebuild keys.map, as it does after an apply has written the files."""
        Path(self.proxy.keys_script).write_text(self.proxy.keys_text())
        subprocess.run(["sh", self.proxy.keys_script, "alone", "merge"], check=True, timeout=60)
        Path(self.proxy.keys_script).chmod(0o755)

    def forget_keys(self) -> None:
        """Forget the keys that were pushed since the apply, and the revocations."""
        Path(self.paths.configuration, "keys.pushed").unlink()
        self.script("load_keys")

    def start(self) -> None:
        Path(self.proxy.script).write_text(self.proxy.script_text())
        Path(self.proxy.script).chmod(0o755)
        self.script("start" if self.proxy.drains else "prepare")
        self.script("check", f"{self.paths.configuration}/haproxy.cfg")
        arguments = ["haproxy", "-W", "-f", f"{self.paths.configuration}/haproxy.cfg"]
        arguments += ["-S", f"{self.paths.sockets}/master.sock,mode,600"]
        with Path(self.paths.run, "stderr").open("ab") as stderr:
            # A session of its own, as under systemd. A new worker that can't bind sends SIGTTOU to the old ones. One
            # that is exiting no longer handles it: in a shell's session it would stop for good, and its master wait.
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "--", *arguments],
                stderr=stderr,
                stdout=stderr,
                start_new_session=True,
            )
        eventually(self.answers)

    def answers(self) -> bool:
        assert self.process.poll() is None, Path(self.paths.run, "stderr").read_text()
        with contextlib.suppress(OSError):
            # After a restart, the old master's socket exists until the new master listens.
            return "Uptime" in self.ask("show info") and bool(self.workers)
        return False

    def ask(self, command: str, socket_name: str = "admin") -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(60)
            connection.connect(f"{self.paths.sockets}/{socket_name}.sock")
            connection.sendall(command.encode() + b"\n")
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()

    def statuses(self, server: str) -> list[str]:
        """Return the status of each server of this name, one per backend. "no check": up, as its agent says."""
        rows = csv.DictReader(self.ask("show stat").removeprefix("# ").splitlines())
        return [row["status"] for row in rows if row["svname"] == server]

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


@dataclass
class Stack:
    folder: Path
    ca: CertificateAuthority
    settings: Gateway
    proxied: HostProxy
    gateway: Running
    reader: Running
    host_proxy: Running
    log: LogSink
    engines: dict[str, StandInEngine]
    agents: dict[str, StandInAgent]
    sooner: bool
    """Whether checks run more often than on a host."""

    def write(self, settings: Gateway) -> None:
        """Write the gateway's files, as the role does."""
        self.settings = settings
        folder = Path(self.gateway.paths.configuration)
        for name, content in gateway_files.maps(settings).items():
            (folder / name).write_text(content)
        (folder / "keys.applied").write_text(gateway_files.applied_keys(settings))
        self.gateway.merge_keys()
        cfg = gateway_files.haproxy_cfg(settings, self.gateway.paths, self.reader.paths)
        (folder / "haproxy.cfg").write_text(asking_sooner(cfg) if self.sooner else cfg)
        self._write_reader(settings)

    def _write_reader(self, settings: Gateway) -> None:
        folder = Path(self.reader.paths.configuration)
        for name, content in gateway_files.reader_files().items():
            (folder / name).write_text(content)
        cfg = gateway_files.reader_cfg(settings, self.reader.paths, self.gateway.paths)
        (folder / "haproxy.cfg").write_text(cfg)

    def connect(self, timeout: float = 60) -> HTTPSConnection:
        trusted = ssl.create_default_context(cadata=self.ca.pem)
        return HTTPSConnection("127.0.0.1", self.settings.port, context=trusted, timeout=timeout)

    def send(
        self,
        model: object = "assistant",
        *,
        key: str | None = "good",
        path: str = "/v1/chat/completions",
        method: str = "POST",
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        stream: bool = False,
    ) -> HTTPResponse:
        content = json.dumps({"messages": [], "stream": stream, "model": model}).encode() if body is None else body
        # A kept-alive connection would keep its worker from ending.
        sent = {"connection": "close", **({"authorization": f"Bearer {KEYS[key]}"} if key else {}), **(headers or {})}
        connection = self.connect()
        connection.request(method, path, content if method == "POST" else None, sent)
        response = connection.getresponse()
        response._connection = connection  # type: ignore[attr-defined]
        return response

    def status(self, server: str) -> str:
        """Return the status that HAProxy shows: UP, DOWN, "UP 1/2", DRAIN, MAINT …"""
        return self.gateway.statuses(server)[0]

    def up(self, server: str) -> bool:
        return self.status(server) == "UP"

    def down(self, server: str) -> bool:
        return self.status(server) == "DOWN"

    @contextmanager
    def gateways(self) -> Iterator[Gateways]:
        name = self.settings.name
        with Remote([Target(name, "@local")]) as remote:
            yield Gateways(remote, [name], paths=self.gateway.paths, drains=self.gateway.proxy.drains or "")

    @property
    def servers(self) -> dict[str, str]:
        """Map each model to its server's name."""
        return {model.name: model.servers[0].name for model in self.settings.models if model.servers}

    def reset(self) -> None:
        """Restore the initial state, whatever a test did."""
        for engine in self.engines.values():
            engine.hold = engine.break_off = engine.crash = engine.late = False
            engine.answer, engine.headers, engine.events, engine.status = None, {}, (), 200
            engine.let_go(100)
            engine.steps = threading.Semaphore(0)
            engine.requests.clear()
            engine.gone.clear()
            engine.began.clear()
        for agent in self.agents.values():
            agent.state = "up ready"
        for model, server in self.servers.items():
            self.gateway.ask(f"set server model.{model}/{server} state ready")
        # The host proxy first: the gateway notices what a test left only a moment later, and shows UP until then.
        eventually(lambda: set(self.host_proxy.statuses("engine")) == {"no check"})
        eventually(lambda: all(self.up(server) for server in self.servers.values()))


@contextmanager
def running_stack(
    serve: Callable[[Path], AbstractContextManager[StandInEngine]] = stand_in_engine, *, sooner: bool = True
) -> Iterator[Stack]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rw-")))
        ca = CertificateAuthority(folder)
        gateway, reader, host_proxy = _proxies(folder, ca)
        engines, agents = {}, {}
        for model in ("assistant", "coder"):
            engines[model] = stack.enter_context(serve(folder / f"{model}.sock"))
            agents[model] = StandInAgent()
            stack.callback(agents[model].close)
        proxied = _proxied(folder, agents)
        log = LogSink(folder / "log")
        stack.callback(log.close)
        settings = _gateway(proxied)
        running = Stack(folder, ca, settings, proxied, gateway, reader, host_proxy, log, engines, agents, sooner)
        running.write(running.settings)
        cfg = host_proxy_files.haproxy_cfg(proxied, host_proxy.paths)
        Path(host_proxy.paths.configuration, "haproxy.cfg").write_text(asking_sooner(cfg) if sooner else cfg)
        for proxy in (host_proxy, reader, gateway):
            proxy.start()
            stack.callback(proxy.stop)
        running.reset()
        yield running


@contextmanager
def second_gateway(first: Stack) -> Iterator[Stack]:
    """Run gate2, which shares its counters with the first gateway. After the block, the first one runs without it."""
    folder = first.folder / "second"
    folder.mkdir()
    alone, ports = first.settings, (free_port(), free_port())
    for stem, names, client in (("gateway", ("llm.lab", "127.0.0.1"), False), ("gateway-client", ("gate2",), True)):
        first.ca.issue(stem, names, client=client, folder=folder)
    (folder / "bin").symlink_to(first.folder / "bin")
    for cloud in first.gateway.proxy.clouds:
        for suffix in ("key.cred", "ca.crt"):
            (folder / f"{cloud}.{suffix}").symlink_to(first.folder / f"{cloud}.{suffix}")
    paths = replace(_paths(folder, "gateway"), certificates=str(folder))
    reader = Running(Proxy(f"{first.folder.name}-reader2", "test", _paths(folder, "reader"), ()))
    (folder / "drains").mkdir()
    proxy = replace(first.gateway.proxy, paths=paths, drains=str(folder / "drains"), ledger="gateways/accepted.gate2")
    peers = [Peer(name=f"gate{index + 1}", address=alone.address, port=port) for index, port in enumerate(ports)]
    settings = alone.model_copy(
        update={"name": "gate2", "port": free_port(), "peers": (peers[0],), "peers_port": ports[1]}
    )
    second = replace(first, settings=settings, gateway=Running(proxy), reader=reader)
    second.write(settings)
    second.reader.start()
    second.gateway.start()
    first.write(alone.model_copy(update={"peers": (peers[1],), "peers_port": ports[0]}))
    first.gateway.reload()
    try:
        yield second
    finally:
        second.gateway.stop()
        second.reader.stop()


def _paths(folder: Path, name: str) -> Paths:
    (folder / name).mkdir()
    (folder / f"{name}.run" / "sockets").mkdir(parents=True)
    # Tests run HAProxy as root.
    return Paths(
        str(folder / name),
        str(folder / f"{name}.run"),
        certificates=str(folder),
        clouds=str(folder),
        cloud_sockets=str(folder),
        log=str(folder / "log"),
        asks_as="root",
    )


def _proxies(folder: Path, ca: CertificateAuthority) -> tuple[Running, Running, Running]:
    """Return the gateway, its reader, and the host proxy."""
    ca.issue("gateway", ("llm.lab", "127.0.0.1"), client=False)
    ca.issue("gateway-client", ("gate1",), client=True)
    ca.issue("host-proxy", ("gpu1", "127.0.0.1"), client=False)
    (folder / "bin").mkdir()
    stand_in = folder / "bin" / "systemd-creds"
    stand_in.write_text('#!/bin/sh\n[ "$1" = decrypt ] && exec cat "$3"\n')
    stand_in.chmod(0o755)
    (folder / "drains").mkdir()
    drains = str(folder / "drains")
    # The script's temporary folders in /run have the unit's name, and other stacks may run at the same time.
    unit = f"{folder.name}-gateway"
    gateway = Proxy(unit, "test", _paths(folder, "gateway"), ("gateway", "gateway-client"), drains=drains)
    gateway = replace(gateway, ledger="gateways/accepted.gate1")
    reader = Proxy(f"{folder.name}-reader", "test", _paths(folder, "reader"), ())
    host_proxy = Proxy("host-proxy", "test", _paths(folder, "host-proxy"), ("host-proxy",))
    return Running(gateway), Running(reader), Running(host_proxy)


def _proxied(folder: Path, agents: dict[str, StandInAgent]) -> HostProxy:
    replicas = tuple(
        Proxied(
            replica=f"{model}@1",
            port=free_port(),
            socket=str(folder / f"{model}.sock"),
            agent_port=agent.port,
            slots=4,
        )
        for model, agent in agents.items()
    )
    return HostProxy(
        address=ip_address("127.0.0.1"), certificate="host-proxy", gateways=("gate1", "gate2"), replicas=replicas
    )


def _gateway(proxied: HostProxy) -> Gateway:
    models = tuple(
        RoutedModel(
            name=replica.replica.split("@")[0],
            digest=DIGEST,
            names=(replica.replica.split("@")[0], f"org/{replica.replica.split('@')[0]}:8b"),
            servers=(
                Server(
                    replica=replica.replica,
                    host="gpu1",
                    address=proxied.address,
                    port=replica.port,
                    slots=replica.slots,
                ),
            ),
            # As if it ran vLLM, and the assistant llama.cpp.
            created=1790000000,
            salts=replica.replica == "coder@1",
            adapters=("style",) if replica.replica == "coder@1" else (),
        )
        for replica in proxied.replicas
    )
    keys = (
        Key(id="good", sha256=digest(KEYS["good"])),
        Key(id="expired", sha256=digest(KEYS["expired"]), expires=datetime(2020, 1, 1, tzinfo=UTC)),
        Key(id="scoped", sha256=digest(KEYS["scoped"]), models=("coder",), expires=datetime(2099, 1, 1, tzinfo=UTC)),
    )
    return Gateway(
        name="gate1",
        domain="llm.lab",
        address=ip_address("127.0.0.1"),
        port=free_port(),
        certificate="gateway",
        client_certificate="gateway-client",
        models=models,
        keys=keys,
        queue_timeout_seconds=2,
    )


def alive(pid: int) -> bool:
    """Return whether the process runs. One that has ended, but that the master hasn't reaped yet, has no program."""
    return Path(f"/proc/{pid}/exe").exists()

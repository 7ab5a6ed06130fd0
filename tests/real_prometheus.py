"""A real Prometheus, over TLS, with a real Alertmanager, both on loopback."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rackwright.lifecycle.patch.prometheus import NotAsked, Prometheus
from tests.loopback_tls import bundle, server_files
from tests.unpacked import program
from tests.waiting import wait_until

RULES = """\
groups:
  - name: tests
    rules:
      - {alert: Watchdog, expr: vector(1)}
      - {alert: ErrorRate, expr: vector(1), labels: {service: assistant}}
      - {alert: FanFailed, expr: vector(1), labels: {instance: "gpu1:9100"}}
      - {alert: Slow, expr: vector(1), for: 1h}
"""
"""Three alerts that fire, and one that is pending."""
ALERTMANAGER = "prometheus-alertmanager"
CONFIGURATION = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"


@dataclass
class Monitoring:
    """Both servers. Each keeps its port when it is started again."""

    folder: Path
    port: int
    alertmanager_port: int
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def prometheus(self) -> Prometheus:
        return Prometheus(self.url, Path(bundle()))

    def start_alertmanager(self) -> None:
        (self.folder / "alertmanager.yml").write_text(CONFIGURATION)
        self._start(
            ALERTMANAGER,
            f"--config.file={self.folder}/alertmanager.yml",
            f"--storage.path={self.folder}/alertmanager",
            f"--web.listen-address=127.0.0.1:{self.alertmanager_port}",
            "--cluster.listen-address=",
        )
        wait_until(self._alertmanager_answers)

    def start_prometheus(self) -> None:
        certificate, key = server_files()
        (self.folder / "rules.yml").write_text(RULES)
        (self.folder / "web.yml").write_text(f"tls_server_config: {{cert_file: {certificate}, key_file: {key}}}\n")
        (self.folder / "prometheus.yml").write_text(
            "global: {evaluation_interval: 200ms, external_labels: {site: lab}}\n"
            "rule_files: [rules.yml]\n"
            "alerting:\n  alertmanagers:\n"
            f"    - static_configs: [{{targets: ['localhost:{self.alertmanager_port}']}}]\n"
        )
        self._start(
            "prometheus",
            f"--config.file={self.folder}/prometheus.yml",
            f"--storage.tsdb.path={self.folder}/prometheus",
            f"--web.listen-address=127.0.0.1:{self.port}",
            f"--web.config.file={self.folder}/web.yml",
            "--rules.alert.resend-delay=200ms",
        )
        wait_until(self._both_know)

    def stop(self, *names: str) -> None:
        for name in names or tuple(self.running):
            process = self.running.pop(name)
            # An Alertmanager keeps its silences when it ends in an orderly way.
            process.send_signal(signal.SIGTERM if name == ALERTMANAGER else signal.SIGKILL)
            process.wait(30)

    def silence(self, alert: str) -> str:
        """Silence an alert for an hour, and return the silence's id."""
        now = datetime.now(UTC)
        matcher = {"name": "alertname", "value": alert, "isRegex": False, "isEqual": True}
        document = {
            "matchers": [matcher],
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(hours=1)).isoformat(),
            "createdBy": "anna",
            "comment": "test",
        }
        answer = json.loads(self._alertmanager("silences", json.dumps(document).encode()))
        return str(answer["silenceID"])

    def unsilence(self, silence: str) -> None:
        self._alertmanager(f"silence/{silence}", method="DELETE")

    def _alertmanager(self, path: str, body: bytes | None = None, method: str | None = None) -> bytes:
        url = f"http://127.0.0.1:{self.alertmanager_port}/api/v2/{path}"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
            return bytes(response.read())

    def _alertmanager_answers(self) -> bool:
        try:
            return bool(self._alertmanager("status"))
        except urllib.error.URLError:
            return False

    def _both_know(self) -> bool:
        try:
            return len(self.prometheus.firing()) == len(self.prometheus.notified()) == 3
        except NotAsked:
            return False

    def _start(self, package: str, *options: str) -> None:
        command = [*program(package), "--log.level=error", *options]
        with (self.folder / f"{package}.log").open("ab") as log:
            self.running[package] = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)


def start(folder: Path) -> Monitoring:
    """Start both, and wait until the Alertmanager has all alerts that fire."""
    monitoring = Monitoring(folder, _free_port(), _free_port())
    try:
        monitoring.start_alertmanager()
        monitoring.start_prometheus()
    except BaseException:
        monitoring.stop()
        raise
    return monitoring


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])

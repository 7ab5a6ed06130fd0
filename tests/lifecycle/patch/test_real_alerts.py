"""The gate `alerts` with a real Prometheus and a real Alertmanager."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace

import pytest

from rackwright.lifecycle.patch import prometheus as asking
from rackwright.lifecycle.patch.alerts import ask_alerts
from tests.lifecycle.patch.seen import gate_of, seen, two_hosts
from tests.real_prometheus import ALERTMANAGER, Monitoring, start
from tests.waiting import wait_until

IGNORED = ("Watchdog",)
RATE, FAN = "ErrorRate", "FanFailed (gpu1:9100)"


@pytest.fixture(scope="module")
def monitoring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitoring]:
    made = start(tmp_path_factory.mktemp("monitoring"))
    yield made
    made.stop()


def asked(monitoring: Monitoring, host: str) -> tuple[str, tuple[str, ...]]:
    """Return the gate's state and the alerts that it names."""
    alerts = ask_alerts(monitoring.prometheus, IGNORED)
    gate = gate_of("alerts", two_hosts(), host, replace(seen(), alerts=alerts))
    return gate.state, gate.listed


def test_a_firing_alert_closes_it_unless_it_is_about_the_host(monitoring: Monitoring) -> None:
    assert asked(monitoring, "gpu1") == ("closed", (RATE,))
    assert asked(monitoring, "gpu2") == ("closed", (RATE, FAN))


def test_a_silence_opens_it_and_its_end_closes_it(monitoring: Monitoring) -> None:
    silence = monitoring.silence(RATE)
    wait_until(lambda: asked(monitoring, "gpu1") == ("open", ()))
    assert asked(monitoring, "gpu2") == ("closed", (FAN,))
    monitoring.unsilence(silence)
    wait_until(lambda: asked(monitoring, "gpu1") == ("closed", (RATE,)))


def test_its_certificate_is_verified(monitoring: Monitoring) -> None:
    alerts = ask_alerts(replace(monitoring.prometheus, ca=None), IGNORED)
    assert alerts.unknown == f"127.0.0.1:{monitoring.port} its certificate is not trusted on this machine"
    assert alerts.next == "add its CA to patch.prometheus.ca"


def test_without_alertmanager_no_alert_counts_as_silenced(monitoring: Monitoring) -> None:
    monitoring.silence(RATE)
    wait_until(lambda: asked(monitoring, "gpu1") == ("open", ()))
    monitoring.stop(ALERTMANAGER)
    assert asked(monitoring, "gpu1") == ("unknown", (RATE,))
    monitoring.start_alertmanager()
    wait_until(lambda: asked(monitoring, "gpu1") == ("open", ()))


def test_a_dead_prometheus_closes_it(monitoring: Monitoring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "SECONDS", 0.5)
    # It still accepts connections, but no longer answers.
    monitoring.running["prometheus"].send_signal(signal.SIGSTOP)
    gate = gate_of("alerts", two_hosts(), "gpu1", replace(seen(), alerts=ask_alerts(monitoring.prometheus)))
    assert (gate.state, gate.found) == ("unknown", f"127.0.0.1:{monitoring.port} doesn't answer in time")
    monitoring.stop("prometheus")
    gate = gate_of("alerts", two_hosts(), "gpu1", replace(seen(), alerts=ask_alerts(monitoring.prometheus)))
    assert (gate.state, gate.found) == ("unknown", f"127.0.0.1:{monitoring.port} can't be reached")

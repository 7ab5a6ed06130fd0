"""`patch run` on hosts that serve and on gateways: packages change, hosts reboot, what fails is as before again.

The packages are small; apt, dpkg, reboots, gateways and clients are real. The tests build on one another.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rackwright.lab.hosts import Lab
from tests.lab.access import accesses, lost_by
from tests.lab.load import Plan, loaded
from tests.lab.operator import Operator, operator
from tests.lab.paced import paced
from tests.lab.small_archive import SmallPackage, archive, failing, library, service
from tests.lab.standard import standard_lab
from tests.loopback_tls import bundle
from tests.waiting import wait_until
from tests.webhook_receiver import Receiver, webhook_receiver

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "rackwright/cli/patch",
    "rackwright/cli/rollout.py",
    "rackwright/gateway/leaving.py",
    "rackwright/gateway/leaving_scripts.py",
    "rackwright/lifecycle/drain/gateway_host.py",
    "rackwright/lifecycle/notify",
    "rackwright/lifecycle/patch",
    "rackwright/lifecycle/reboot",
    "rackwright/lifecycle/rollout",
    "rackwright/state/rollout.py",
    "roles/patch",
)
GATEWAYS = ("gate1", "gate2")
"""The first is the control host, too."""
SERVING = ("gpu1", "gpu2", "gpu3")
HOSTS = (*GATEWAYS, *SERVING)
TIMERS = "apt-daily.timer apt-daily-upgrade.timer"
NAMES = ("small-failing", "small-library", "small-service", "small-tool")
PHASES = ["gate", "drain", "act", "reboot", "prove", "prove", "commit", "undrain", "soak", "done"]
REVERTED = ["gate", "drain", "act", "revert", "act", "prove", "undrain", "done"]
ASKS = "touch /run/reboot-required; echo small-tool >>/run/reboot-required.pkgs"
SLOW = f"echo >>/var/lib/starts; while [ ! -e /run/go ]; do sleep 0.1; done; {ASKS}"
"""A postinst that counts its starts, and waits for the test."""
# Counts boots; and sshd waits at boot as long as the test wants.
_PREPARED = f"""set -e; cd /etc/systemd/system; mkdir -p ssh.service.d
printf '[Service]\\nType=oneshot\\n\
ExecStart=/bin/sh -c "echo >>/var/lib/boots"\\n[Install]\\nWantedBy=basic.target\\n' >boots.service
printf '[Service]\\n\
ExecStartPre=/bin/sh -c "while [ -e /etc/hold ]; do sleep 0.1; done"\\n' >ssh.service.d/zz-hold.conf
systemctl -q daemon-reload; systemctl -q enable boots
systemctl -q unmask {TIMERS}; systemctl -q enable --now {TIMERS}"""
_INSTALLED = "apt-get -qq update; apt-get -qq -y install small-service small-tool small-failing >/dev/null 2>&1"


def tool(version: str, postinst: str = "true") -> SmallPackage:
    return SmallPackage("small-tool", version, scripts={"postinst": postinst})


def broken_service(version: str) -> SmallPackage:
    unit = "[Service]\nExecStart=/bin/false\n[Install]\nWantedBy=multi-user.target\n"
    path = "/usr/lib/systemd/system/small.service"
    return SmallPackage("small-service", version, fields=("Depends: small-library",), files={path: unit})


FIRST = (tool("1"), library("1"), service("1"), SmallPackage("small-failing", "1"))


@dataclass(frozen=True)
class Site:
    lab: Lab
    operator: Operator
    receiver: Receiver
    """Gets the fleet's notices."""

    def heard(self) -> list[str]:
        """Return the summaries of all notices since the last call."""
        posted = list(self.receiver.posted)
        self.receiver.posted.clear()
        return [one.document["summary"] for one in posted]

    def tell(self, host: str, command: str) -> str:
        return self.lab.exec(host, command).out.strip()

    def publish(self, *packages: SmallPackage, hosts: Sequence[str] = SERVING) -> None:
        """Offer these packages, by default on every host that serves."""
        for host in hosts:
            self.tell(host, f"cat >/tmp/script <<'EOF'\n{archive(*packages)}\nEOF\nsh /tmp/script; rm /tmp/script")

    def versions(self, host: str) -> str:
        return self.tell(host, f"dpkg-query -W -f '${{Version}} ' {' '.join(NAMES)}")

    def boots(self, host: str) -> int:
        return int(self.tell(host, "cat /var/lib/boots 2>/dev/null | wc -l"))

    def has_booted(self, host: str, times: int) -> bool:
        """Return whether it has booted this often; False also while it goes down, when it answers nothing."""
        said = self.lab.exec(host, "wc -l </var/lib/boots", check=False)
        return said.code == 0 and int(said.out) == times

    def all_boots(self) -> dict[str, int]:
        return {host: self.boots(host) for host in HOSTS}

    def boots_since(self, before: dict[str, int]) -> dict[str, int]:
        """Return how often each host has booted since, without those that haven't."""
        return {host: boots - before[host] for host, boots in self.all_boots().items() if boots > before[host]}

    @property
    def vip(self) -> str:
        return str(self.lab.fleet().subnet[200])

    def journal(self) -> list[dict[str, Any]]:
        """Return the lines of the last rollout."""
        lines = [
            json.loads(line) for line in self.tell("gate1", "cat /var/lib/rackwright/control/journal").splitlines()
        ]
        return [line for line in lines if line["rollout"] == lines[-1]["rollout"]]

    def phases(self, host: str) -> list[str]:
        return [line["phase"] for line in self.journal() if line["subject"] == host]

    def settled(self) -> None:
        """Check that no rollout is open, all serve, one gateway has the address, and apt's timers run."""
        assert "no rollout is open" in self.operator("rollout", "status").out
        shown = f"ip -o addr show to {self.vip} | grep -v ': lo '"
        wait_until(lambda: [self.lab.exec(one, shown, check=False).code for one in GATEWAYS].count(0) == 1)
        assert {state["traffic"] for state in self.operator.replicas().values()} == {"yes"}
        for host in HOSTS:
            assert self.tell(host, f"systemctl is-active {TIMERS} small") == "active\nactive\nactive"
            assert (
                self.tell(host, "dpkg --audit; systemctl list-units --plain --no-legend 'rackwright-patch-*'") == ""
            )

    def killed(self, process: Any) -> None:
        process.kill()
        process.wait()
        self.operator("lease", "break", "--yes", "--reason", "its machine lost power")

    def elsewhere(self, folder: Path) -> Operator:
        """Return an operator on another machine, with what git has of the fleet's folder."""
        here = self.operator.path
        return Operator(Path(shutil.copytree(here.parent, folder / "elsewhere")) / here.name)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with standard_lab("patch-run", *HOSTS) as lab, webhook_receiver() as receiver:
        folder = tmp_path_factory.mktemp("site") / "here"
        folder.mkdir()
        made = operator(folder, lab.fleet(), paced(folder / "paced", "load=1 pace=0.05"))
        text = made.path.read_text().replace("parallel: 2", "parallel: 64")
        text = text.replace("soak: 2s", "soak: 1s, start_timeout: 15s")
        site = Site(lab, made, receiver)
        text = text.replace("  on: [gate1]", f"  on: [{', '.join(GATEWAYS)}]\n  vip: {site.vip}")
        notify = f"notify: {{url: '{receiver.url}', ca: {bundle()}}}"
        made.path.write_text(f"{text}\npatch: {{}}\n{notify}\n")
        made("lock")
        made("apply", "--yes", "--allow-outage")
        site.publish(*FIRST, hosts=HOSTS)
        for host in HOSTS:
            site.tell(host, _PREPARED)
            site.tell(host, f"{_INSTALLED}; systemctl -q enable --now small")
        yield site


@pytest.fixture
def plan(site: Site, tmp_path: Path) -> Plan:
    added = site.operator("key", "add", "load", "--owner", "tests", "--concurrency", "unlimited", "--json").json
    return Plan(
        gateways=(site.vip,),
        ca=str(site.operator.path.with_name("test.ca.crt")),
        key=added["key"],
        samples=str(tmp_path / "samples.jsonl"),
        rate=8,
        rhythm="lcslc",
    )


def test_a_closed_gate_or_a_useless_canary_is_refused_before_anything_is_opened(site: Site) -> None:
    site.publish(tool("2"))
    site.operator.edit("patch: {}", 'patch: {except: ["2026-01-01/2036-12-31"]}')
    said = site.operator("patch", "run", "--yes", check=1).err
    assert "gpu1: gate freeze: patch.except has 2026-01-01/2036-12-31" in said
    site.operator.edit('patch: {except: ["2026-01-01/2036-12-31"]}', "patch: {}")
    assert "gate1 can't be the canary" in site.operator("patch", "run", "--yes", "--canary", "gate1", check=2).err
    closed, useless = site.heard()
    assert closed.startswith("patch run failed: gpu1: gate freeze: ")
    assert useless.startswith("patch run failed: gate1 can't be the canary")
    assert site.versions("gpu1") == "1 1 1 1"
    assert "no rollout is open" in site.operator("rollout", "status").out


def test_a_package_that_fails_on_the_canary_is_reverted_and_the_next_host_is_not_touched(site: Site) -> None:
    site.publish(*FIRST, tool("2"), failing("2"))
    before = site.all_boots()
    said = site.operator("patch", "run", "--yes", "--canary", "gpu2", check=3).err
    assert "installing the new packages failed with exit status" in said
    assert "the postinst of small-failing fails" in said
    assert "small-failing is half-configured" in said
    assert "it was reverted, and its engines answer" in said
    assert site.phases("gpu2") == REVERTED
    started, failed = site.receiver.posted
    assert (started.document["event"], failed.document["event"]) == ("started", "failed")
    assert "the postinst of small-failing fails" in failed.document["reason"]
    assert (failed.document["hosts"], failed.document["run"]) == (["gpu2"], site.journal()[-1]["rollout"])
    assert site.phases("gpu1") == site.phases("gpu3") == []
    assert {site.versions(host) for host in SERVING} == {"1 1 1 1"}
    assert site.all_boots() == before
    site.settled()


def test_hosts_are_patched_under_load_and_reboot_once(site: Site, plan: Plan) -> None:
    """Clients have the virtual address; both gateways reboot, too. The first is the control host."""
    site.publish(tool("2", ASKS), library("2"), service("2"), hosts=HOSTS)
    site.tell("gpu3", "apt-get -qq update; apt-get -qq -y upgrade >/dev/null 2>&1; rm -f /run/reboot-required*")
    site.tell("gpu3", "systemctl restart small")
    before = site.all_boots()
    with loaded(plan) as load:
        site.heard()
        said = site.operator("patch", "run", "--yes", timeout=500)
        counted = load.stop()
    assert site.heard() == [
        "patch run started: gpu1, gpu2, gate2, gate1",
        "patch run ended: patched: gpu1, gpu2, gate2, gate1",
    ]
    assert counted.failures == {}
    assert counted.whole == counted.asked >= 100
    lost = lost_by(accesses(site.lab, GATEWAYS, "load"), load.samples)
    # A container keeps its journal in memory: what the gateways logged before their reboots is gone.
    assert [line for line in lost if not line.startswith("not in the log")] == []
    assert "patched: gpu1, gpu2, gate2, gate1" in said.out
    assert site.boots_since(before) == {"gate1": 1, "gate2": 1, "gpu1": 1, "gpu2": 1}
    assert {site.versions(host) for host in HOSTS} == {"1 2 2 2"}
    at_gateways = [phase for phase in PHASES if phase != "soak"]
    changed = dict.fromkeys(("gpu1", "gpu2"), PHASES) | dict.fromkeys(GATEWAYS, at_gateways)
    assert {host: site.phases(host) for host in HOSTS} == {**changed, "gpu3": []}
    assert [line["event"] for line in site.journal()][:: len(site.journal()) - 1] == ["opened", "closed"]
    audited = site.tell("gpu1", "cat /var/lib/rackwright/audit.log")
    assert "install 3 packages" in audited
    assert "reboot: installed packages ask for it" in audited
    reported_as_patched(site)
    assert "nothing to patch" in site.operator("patch", "run", "--yes").out
    site.settled()


def reported_as_patched(site: Site) -> None:
    hosts = {host["host"]: host for host in site.operator("patch", "report", "--json").json["hosts"]}
    assert {name: host["outcome"] for name, host in hosts.items()} == {
        "gate1": "patched",
        "gate2": "patched",
        "gpu1": "patched",
        "gpu2": "patched",
        "gpu3": "not in the run",
    }
    for name in ("gpu1", "gpu2", *GATEWAYS):
        assert {one["name"]: (one["before"], one["after"]) for one in hosts[name]["packages"]} == {
            "small-library": ("1", "2"),
            "small-service": ("1", "2"),
            "small-tool": ("1", "2"),
        }
        assert [one["why"] for one in hosts[name]["reboots"]] == ["installed packages ask for it"]
        assert hosts[name]["kernel"]["after"] == site.tell(name, "uname -r")


def test_a_host_that_is_not_as_before_after_its_reboot_is_reverted(site: Site) -> None:
    site.publish(tool("3", ASKS), library("2"), broken_service("3"))
    before = site.all_boots()
    said = site.operator("patch", "run", "--yes", "-l", "gpu1", "-l", "gpu2", check=12, timeout=500).err
    assert "not proven after 15 s: small.service has failed" in said
    assert "it was reverted, and its engines answer" in said
    assert site.boots_since(before) == {"gpu1": 2}
    assert {site.versions(host) for host in SERVING} == {"1 2 2 2"}
    assert site.phases("gpu2") == []
    site.settled()


def test_a_run_killed_in_its_installation_and_in_its_reboot_is_resumed_elsewhere(site: Site, tmp_path: Path) -> None:
    site.publish(tool("4", SLOW))
    before = site.all_boots()
    running = site.operator.start("patch", "run", "--yes", "-l", "gpu1")
    wait_until(lambda: site.tell("gpu1", "cat /var/lib/starts 2>/dev/null | wc -l") == "1", 60)
    assert "the fleet is leased by" in site.operator("patch", "run", "--yes", check=11).err
    site.killed(running)
    assert "is open" in site.operator("patch", "run", "--yes", check=11).err
    other = site.elsewhere(tmp_path)
    resumed = other.start("rollout", "resume", "--yes")
    site.tell("gpu1", "touch /etc/hold /run/go")
    wait_until(lambda: site.has_booted("gpu1", before["gpu1"] + 1), 60)
    site.killed(resumed)
    site.tell("gpu1", "rm /etc/hold")
    site.lab.wait("gpu1")
    assert "patch run: gpu1" in other("rollout", "resume", "--yes").out
    assert site.tell("gpu1", "cat /var/lib/starts | wc -l") == "1"
    assert site.boots_since(before) == {"gpu1": 1}
    assert site.versions("gpu1") == "1 2 2 4"
    report = site.operator("patch", "report", "--json").json
    assert (report["ended"], len(report["controllers"])) == ("done", 3)
    (gpu1,) = (host for host in report["hosts"] if host["host"] == "gpu1")
    assert (gpu1["outcome"], len(gpu1["reboots"])) == ("patched", 1)
    site.settled()


def test_an_open_run_is_aborted_and_the_host_serves_as_it_runs(site: Site) -> None:
    running = site.operator.start("patch", "run", "--yes", "-l", "gpu2")
    wait_until(lambda: site.tell("gpu2", "cat /var/lib/starts 2>/dev/null | wc -l") == "1", 60)
    site.killed(running)
    site.tell("gpu2", "touch /run/go")
    site.operator("rollout", "abort", "--yes", "--reason", "the next window")
    assert site.versions("gpu2") == "1 2 2 4"
    site.settled()


def test_without_reboots_hosts_get_their_packages_and_stay_in_their_boot(site: Site) -> None:
    before = site.all_boots()
    site.tell("gpu3", "touch /run/go")
    said = site.operator("patch", "run", "--yes", "--no-reboot")
    assert "patched: gpu3" in said.out
    assert site.all_boots() == before
    assert {site.versions(host) for host in SERVING} == {"1 2 2 4"}
    site.settled()

"""Nobody watches: a timer on a control host starts the patch run, which reboots the host that it works on; after the
boot the run goes on and ends, and people hear of it. etcd, systemd's timers, apt, sshd and the reboot are real.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rackwright.lab.hosts import Lab
from rackwright.lab.podman import Done
from rackwright.roles.etcd.settings import CTL
from rackwright.roles.tool.settings import STATE, TIMER, UNIT
from tests.lab.operator import Operator, operator
from tests.lab.small_archive import SmallPackage, archive
from tests.lab.standard import standard_lab
from tests.waiting import wait_until
from tests.webhook_receiver import Receiver, webhook_receiver

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "deploys/tool.py",
    "rackwright/cli/schedule",
    "rackwright/lifecycle/schedule",
    "rackwright/lifecycle/tool",
    "rackwright/state/schedule.py",
    "roles/tool",
)
TOOL_HOST = "spare1"
"""The lab's own fleet file leaves a host with this name out."""
HOSTS = ("gate1", "gpu1", TOOL_HOST)
ASKS = "touch /run/reboot-required; echo small-tool >>/run/reboot-required.pkgs"
STARTED = "cut -d ' ' -f 22 /proc/1/stat"
"""Another number after each reboot."""
SLOW = "touch /run/started; while [ ! -e /run/go ]; do sleep 0.1; done"
"""A postinst that waits for the test."""
AHEAD = timedelta(seconds=100)
"""An apply that changes the window must end before it opens."""
NEVER = "daily 00:00-00:01"


def package(version: str, postinst: str = "true") -> SmallPackage:
    return SmallPackage("small-tool", version, scripts={"postinst": postinst})


@dataclass(frozen=True)
class Site:
    lab: Lab
    operator: Operator
    receiver: Receiver

    def publish(self, host: str, offered: SmallPackage) -> None:
        self.lab.exec(host, f"cat >/tmp/script <<'EOF'\n{archive(offered)}\nEOF\nsh /tmp/script; rm /tmp/script")

    def versions(self) -> list[str]:
        ask = "dpkg-query -W -f '${Version}' small-tool"
        return [self.lab.exec(host, ask).out.strip() for host in ("gpu1", TOOL_HOST)]

    def tool(self, words: str, code: int = 0) -> Done:
        """Run the tool's rackwright by hand on its host."""
        ran = self.lab.exec(TOOL_HOST, f"/etc/rackwright/tool/rackwright {words}", check=False)
        assert ran.code == code, ran
        return ran

    def runs(self) -> list[dict[str, Any]]:
        """Return what the control hosts know of the schedule's runs; empty while a control host goes down."""
        said = self.operator("schedule", "list", "--json", check=None)
        return list(said.json["schedules"][0]["runs"]) if said.code == 0 else []

    def tries(self) -> list[dict[str, Any]]:
        """Return the stored tries."""
        found = json.loads(self.lab.exec("gate1", f"{CTL} get --prefix /rackwright/schedules/patch/ -w json").out)
        return [json.loads(base64.b64decode(one["value"])) for one in found["kvs"]]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with (
        standard_lab("unattended", *HOSTS, bare=(TOOL_HOST,)) as lab,
        webhook_receiver(tls=False, address=lab.fleet().controller) as receiver,
    ):
        made = operator(tmp_path_factory.mktemp("site"), lab.fleet())
        key = made.path.with_name("nightly")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        made.path.write_text(_text(made.path.read_text(), lab, key.with_suffix(".pub").read_text().strip(), receiver))
        made("lock")
        made("apply", "--yes", "--close-ports", timeout=600)
        made("lease", "move", "--yes")
        site = Site(lab, made, receiver)
        for host in ("gpu1", TOOL_HOST):
            site.publish(host, package("1"))
            lab.exec(host, "apt-get -qq update; apt-get -qq -y install small-tool >/dev/null 2>&1")
        yield site


def _text(text: str, lab: Lab, public: str, receiver: Receiver) -> str:
    hosts = f"\nhosts:\n  {TOOL_HOST}: {{address: {lab.fleet().hosts[TOOL_HOST]}}}\n"
    text = re.sub(r"on: \[[^]]*\], replicas", "on: [gpu1], replicas", text.replace("\nhosts:\n", hosts))
    return f"""{text}
people: {{nightly: {{role: operator, keys: ["{public}"]}}}}
control: [{", ".join(HOSTS)}]
unattended: {{on: [{TOOL_HOST}], person: nightly, key: "file:nightly", allow: {{downtime: [assistant]}}}}
patch: {{window: "{NEVER}"}}
notify: {{url: 'http://{receiver.place}/'}}
"""


def test_a_timer_starts_a_patch_run_that_survives_the_reboot_of_its_own_host(site: Site) -> None:
    site.publish("gpu1", package("2", SLOW))
    site.publish(TOOL_HOST, package("2", ASKS))
    before = site.lab.exec(TOOL_HOST, STARTED).out
    opens = (datetime.now(UTC) + AHEAD).replace(second=0, microsecond=0) + timedelta(minutes=1)
    window = f"daily {opens:%H:%M}-{opens + timedelta(hours=2):%H:%M}"
    site.operator.path.write_text(site.operator.path.read_text().replace(NEVER, window))
    site.operator("apply", "--yes")
    # The gateways now have more keys than the tool's fleet, which stays the one that was applied last.
    site.operator("key", "add", "late", "--owner", "tests")
    assert f"{opens:%H:%M:%S}" in site.lab.exec(TOOL_HOST, f"systemctl list-timers {TIMER}").out
    assert datetime.now(UTC) < opens, "the apply took too long"
    wait_until(lambda: site.lab.exec("gpu1", "test -e /run/started", check=False).code == 0, 400)
    # By hand, beside the timer's run, which has a user namespace of its own: neither takes the other for lost.
    assert "nothing is due" in site.tool("schedule run").out
    assert "it runs on" in site.tool("schedule run patch", code=11).err
    site.lab.exec("gpu1", "touch /run/go")
    wait_until(lambda: site.lab.exec(TOOL_HOST, STARTED, check=False).out not in ("", before), 400)
    wait_until(lambda: any(one["state"] == "done" for one in site.runs()), 420)

    (ran,) = site.runs()
    assert (ran["state"], ran["start"]) == ("done", f"{opens:%Y-%m-%dT%H:%M:%SZ}")
    first, second = site.tries()
    assert (first["state"], second["state"]) == ("running", "done")
    assert {one["process"]["machine"] for one in (first, second)} == {TOOL_HOST}
    assert all(one["process"]["boot"] for one in (first, second))
    assert site.versions() == ["2", "2"]
    assert "no rollout is open" in site.operator("rollout", "status").out
    assert {state["traffic"] for state in site.operator.replicas().values()} == {"yes"}


def test_people_heard_of_the_run_from_the_host_that_it_ran_on(site: Site) -> None:
    notices = [one.document for one in site.receiver.posted]
    assert [one["event"] for one in notices] == ["started", "started", "ended"]
    assert {one["operator"].split(" ")[0] for one in notices} == {f"rw_tool@{TOOL_HOST}"}
    started, resumed, ended = (one["summary"] for one in notices)
    assert started == f"patch run started: gpu1, {TOOL_HOST}"
    assert resumed.startswith("patch run started: resumed")
    assert ended.startswith("patch run ended: patched: ")


def test_what_the_run_did_is_in_its_report_in_the_journal_and_in_the_audit_logs(site: Site) -> None:
    assert "unattended.allow.downtime (model assistant)" in site.operator("patch", "report").out
    assert "was lost; try 2" in site.lab.exec(TOOL_HOST, f"journalctl -q -o cat -u {UNIT}").out
    acts = [one for one in site.operator("audit", "--json").json["acts"] if "patch run" in one["command"]]
    assert {one["host"] for one in acts} >= {"gpu1", TOOL_HOST}
    assert all("(nightly, " in one["operator"] for one in acts)
    assert site.lab.exec(TOOL_HOST, f"systemctl is-failed {UNIT}; find {STATE} -name '*.next'", check=False).out in (
        "inactive\n",
        "activating\n",
    )

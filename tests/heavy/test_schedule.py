"""Patch windows that real runs keep: claimed once, resumed after a kill, missed, and paused. The tests build on one
another.

The controller takes the place of the tool on a control host; roles/tool has its own test. Packages are small.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rackwright.lab.hosts import Lab
from tests.lab.operator import Operator, operator
from tests.lab.small_archive import SmallPackage, archive
from tests.lab.standard import standard_lab
from tests.loopback_tls import bundle
from tests.waiting import wait_until
from tests.webhook_receiver import Receiver, webhook_receiver

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "rackwright/cli/schedule",
    "rackwright/fleet/times",
    "rackwright/lifecycle/schedule",
    "rackwright/lifecycle/status/occasions.py",
    "rackwright/state/schedule.py",
    "rackwright/values/times.py",
)
HOSTS = ("gate1", "gpu1", "ctl1")
SLOW = "echo >>/var/lib/starts; while [ ! -e /run/go ]; do sleep 0.1; done"
"""A postinst that counts its starts, and waits for the test."""
TIMERS = "rackwright-schedule.timer rackwright-schedule-check.timer"
_INSTALLED = "apt-get -qq update; apt-get -qq -y install small-tool >/dev/null 2>&1"


def tool(version: str, postinst: str = "true") -> SmallPackage:
    return SmallPackage("small-tool", version, scripts={"postinst": postinst})


@dataclass
class Site:
    lab: Lab
    operator: Operator
    receiver: Receiver
    window: str = "daily 00:00-00:01"

    def heard(self) -> list[str]:
        """Return the summaries of all notices since the last call."""
        posted = list(self.receiver.posted)
        self.receiver.posted.clear()
        return [one.document["summary"] for one in posted]

    def publish(self, host: str, *packages: SmallPackage) -> None:
        self.lab.exec(host, f"cat >/tmp/script <<'EOF'\n{archive(*packages)}\nEOF\nsh /tmp/script; rm /tmp/script")

    def version(self) -> str:
        return self.lab.exec("gpu1", "dpkg-query -W -f '${Version}' small-tool").out.strip()

    def plan(self, start: datetime, minutes: int = 360) -> datetime:
        """Plan a window from this minute on, and let the control host know as an apply would; return that."""
        planned = f"daily {start:%H:%M}-{start + timedelta(minutes=minutes):%H:%M}"
        text = self.operator.path.read_text()
        assert self.window in text
        self.operator.path.write_text(text.replace(self.window, planned))
        self.window = planned
        self.applied(datetime.now(UTC))
        return start

    def applied(self, since: datetime) -> None:
        """Let the control host know the window since then. An apply would turn the tool on that host on again."""
        known = {"schedule": "patch", "said": self.schedule()["when"], "since": f"{since:%Y-%m-%dT%H:%M:%SZ}"}
        folder = "/var/lib/rackwright/schedules/seen"
        text = json.dumps({"format": "schedule-seen/1", **known})
        self.lab.exec("ctl1", f"mkdir -p {folder}; echo {shlex.quote(text)} >{folder}/patch.json")

    def plan_past(self, before: timedelta = timedelta(), minutes: int = 360) -> datetime:
        """Plan a window that opened in the last minute, or earlier, as if the last apply had named it an hour ago."""
        last = datetime.fromisoformat(self.last_run()["start"])
        # Not in this minute: the schedule would be known as soon as it opens, and would start.
        reached(last + before + timedelta(minutes=2))
        start = self.plan(minute(datetime.now(UTC)) - timedelta(minutes=1) - before, minutes)
        self.applied(start - timedelta(hours=1))
        return start

    def schedule(self) -> dict[str, Any]:
        (found,) = self.operator("schedule", "list", "--json").json["schedules"]
        return dict(found)

    def last_run(self) -> dict[str, Any]:
        return dict(self.schedule()["runs"][-1])


def minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def reached(moment: datetime) -> None:
    wait_until(lambda: datetime.now(UTC) >= moment, 200)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with standard_lab("schedule", *HOSTS, bare=("ctl1",)) as lab, webhook_receiver() as receiver:
        folder = tmp_path_factory.mktemp("site")
        made = operator(folder, lab.fleet())
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "nightly"], check=True)
        made.path.write_text(_text(made.path.read_text(), lab, folder, receiver))
        made("lock")
        made("apply", "--yes", "--close-ports")
        # The tool on the control host must not take these windows.
        lab.exec("ctl1", f"systemctl disable --now {TIMERS}", check=False)
        made("lease", "move", "--yes")
        site = Site(lab, made, receiver)
        for host in HOSTS:
            site.publish(host, tool("1"))
            lab.exec(host, _INSTALLED)
        yield site


def _text(text: str, lab: Lab, folder: Path, receiver: Receiver) -> str:
    shutil.copy(bundle(), folder / "ca.pem")
    fleet, public = lab.fleet(), (folder / "nightly.pub").read_text().strip()
    text = re.sub(r"on: \[[^]]*\], replicas", "on: [gpu1], replicas", text)
    text = text.replace(f"admin_from: [{fleet.controller}/32]", f"admin_from: [{fleet.subnet}]")
    return f"""{text}
people: {{nightly: {{role: operator, keys: ["{public}"]}}}}
control: [ctl1]
unattended: {{on: [ctl1], person: nightly, key: "file:nightly", allow: {{outage: all, downtime: all}}}}
patch: {{window: "daily 00:00-00:01"}}
notify: {{url: '{receiver.url}', ca: ca.pem}}
"""


def test_a_window_that_opens_is_worked_on_once_by_two_who_wake_at_the_same_time(site: Site) -> None:
    site.publish("gpu1", tool("2"))
    start = site.plan(minute(datetime.now(UTC) + timedelta(seconds=90)))
    assert site.schedule()["next"] == f"{start:%Y-%m-%dT%H:%M:%SZ}"
    reached(start)
    both = [site.operator.start("schedule", "run") for _ in range(2)]
    outputs = [one.communicate(timeout=300)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0], outputs
    assert sorted("patched: gpu1" in text for text in outputs) == [False, True], outputs
    assert site.version() == "2"
    assert site.heard() == ["patch run started: gpu1", "patch run ended: patched: gpu1"]
    (done,) = site.schedule()["runs"]
    assert (done["state"], done["start"], done["tries"]) == ("done", f"{start:%Y-%m-%dT%H:%M:%SZ}", 1)
    assert "nothing is due" in site.operator("schedule", "run").out


def test_a_run_that_is_killed_is_resumed_by_the_next_one(site: Site) -> None:
    site.publish("gpu1", tool("3", SLOW))
    site.plan_past()
    first = site.operator.start("schedule", "run")
    wait_until(lambda: site.lab.exec("gpu1", "cat /var/lib/starts 2>/dev/null | wc -l").out.strip() == "1", 90)
    assert "it runs on" in site.operator("schedule", "run", "patch", check=11).err
    first.kill()
    first.wait()
    # Its lease has not expired yet, so it could be somebody else's.
    assert "nothing is due" in site.operator("schedule", "run").out
    site.lab.exec("gpu1", "touch /run/go")
    ran: list[str] = []

    def resumed() -> bool:
        ran.append(site.operator("schedule", "run").out)
        return "nothing is due" not in ran[-1]

    wait_until(resumed, 120)
    assert "patched: gpu1" in ran[-1]
    assert (site.version(), site.lab.exec("gpu1", "cat /var/lib/starts | wc -l").out.strip()) == ("3", "1")
    last = site.last_run()
    assert (last["state"], last["tries"]) == ("done", 2)
    assert "no rollout is open" in site.operator("rollout", "status").out
    started, resumption, ended = site.heard()
    assert started == "patch run started: gpu1"
    assert resumption.startswith("patch run started: resumed")
    assert ended == "patch run ended: patched: gpu1"


def test_a_missed_window_is_reported_once_and_status_says_so(site: Site) -> None:
    site.publish("gpu1", tool("4"))
    start = site.plan_past(timedelta(minutes=1), minutes=1)
    warning = f"patch run was missed: nothing started it at {start:%a %Y-%m-%d %H:%M} UTC"
    # From a laptop, before the tool has noticed.
    assert any(text.startswith(warning) for text in site.operator("status", "--json", check=None).json["warnings"])
    assert "missed" in site.operator("schedule", "run").out
    assert "nothing is due" in site.operator("schedule", "run").out
    assert site.heard() == [f"patch run missed: nothing started it at {start:%a %Y-%m-%d %H:%M} UTC"]
    assert site.last_run()["state"] == "missed"
    assert site.version() == "3"
    assert warning in site.operator("status", check=None).out


def test_a_pause_skips_the_window_and_by_hand_it_still_runs(site: Site) -> None:
    start = site.plan_past()
    site.operator("schedule", "pause", "patch", "--until", f"{start + timedelta(days=1):%Y-%m-%d}")
    assert "skipped" in site.operator("schedule", "run").out
    assert (site.version(), site.last_run()["state"]) == ("3", "skipped")
    site.operator("schedule", "resume", "patch")
    assert "patched: gpu1" in site.operator("schedule", "run", "patch").out
    assert site.version() == "4"
    assert site.last_run()["asked"]

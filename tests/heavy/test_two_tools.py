"""Two hosts have the tool: one makes the drill that is due; when its machine is lost, the other one makes it. etcd,
systemd's timers, sshd, restic and the loss of the host are real.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rackwright.lab.hosts import Lab
from rackwright.roles.tool.settings import COMMAND, STATE, UNIT
from tests.lab.drill_site import VAULT, DrillSite, prepared, scratch_of
from tests.lab.standard import standard_lab
from tests.waiting import wait_until
from tests.webhook_receiver import Receiver, webhook_receiver

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "rackwright/cli/drill/run.py",
    "rackwright/cli/schedule",
    "rackwright/lifecycle/drill",
    "rackwright/lifecycle/schedule",
    "rackwright/state/schedule.py",
    "roles/tool",
    "tests/lab/drill_site.py",
)
HOSTS = ("gate1", "gpu1")
TOOLS = ("spare4", "spare5")
"""The lab's own fleet file leaves hosts with these names out."""
AHEAD = timedelta(seconds=90)
"""An apply that changes the time must end before it comes."""
NEVER = "last sun of feb 00:00"
MARKER = "/var/lib/rackwright-drill/drill"


@dataclass(frozen=True)
class Site:
    drills: DrillSite
    receiver: Receiver

    def plan(self) -> datetime:
        """Plan a drill in the next minutes, and apply that; return when."""
        at = (datetime.now(UTC) + AHEAD).replace(second=0, microsecond=0) + timedelta(minutes=1)
        path = self.drills.operator.path
        path.write_text(path.read_text().replace(NEVER, f"daily {at:%H:%M}"))
        self.drills.operator("apply", "--yes")
        assert datetime.now(UTC) < at, "the apply took too long"
        return at

    def last_run(self) -> dict[str, Any]:
        """Return what the control hosts know of the last run; empty while they can't say."""
        said = self.drills.operator("schedule", "list", "--json", check=None)
        return dict(said.json["schedules"][0]["runs"][-1]) if said.code == 0 else {}

    def verified(self, host: str) -> str:
        """Return what the tool says of its reports."""
        folder = f"{STATE}/{self.drills.operator.path.stem}.drills"
        return self.drills.lab.exec(host, f"{COMMAND} drill verify {folder}", check=False).out

    def seals_what_was_left(self, host: str) -> None:
        """Start the host, and have its tool make a report of the drill that was lost with it."""
        self.drills.lab.start(host)
        history = self.drills.lab.exec(host, f"{COMMAND} drill history --json", check=False).out
        (left,) = json.loads(history)["leftovers"]
        sealed = self.drills.lab.exec(host, f"{COMMAND} drill seal {left}", check=False)
        assert (sealed.code, "sealed as not passed" in sealed.out) == (12, True), sealed.err

    def heard(self) -> list[tuple[str, str]]:
        """Return the events since the last call, and the hosts that they are from."""
        posted = list(self.receiver.posted)
        self.receiver.posted.clear()
        documents = [one.document for one in posted]
        return [(one["event"], one["operator"].partition("@")[2].partition(" ")[0]) for one in documents]

    def journal(self, host: str) -> str:
        return self.drills.lab.exec(host, f"journalctl -q -o cat -u {UNIT}").out

    def marked(self) -> bool:
        return self.drills.scratch("gate1").holds(f"test -e {MARKER}")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("fleet")
    spares = (VAULT, *scratch_of(HOSTS).values(), *TOOLS)
    with (
        standard_lab("two-tools", *HOSTS, *spares, bare=spares) as lab,
        webhook_receiver(tls=False, address=lab.fleet().controller) as receiver,
    ):
        drills = prepared(lab, folder, HOSTS, TOOLS)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "nightly"], check=True)
        public = (folder / "nightly.pub").read_text().strip()
        for scratch in scratch_of(HOSTS).values():
            lab.exec(scratch, f"echo {shlex.quote(public)} >>~{lab.fleet().user}/.ssh/authorized_keys")
        made = drills.operator
        made.path.write_text(_text(made.path.read_text(), lab, public, receiver))
        made("trust", "--yes")
        made("lock")
        made("apply", "--yes", "--close-ports", timeout=600)
        made("lease", "move", "--yes")
        made("backup", "run")
        yield Site(drills, receiver)


def _text(text: str, lab: Lab, public: str, receiver: Receiver) -> str:
    hosts = "".join(f"  {name}: {{address: {lab.fleet().hosts[name]}}}\n" for name in TOOLS)
    text = text.replace("\nhosts:\n", f"\nhosts:\n{hosts}")
    text = text.replace("\ndrill: {", f'\ndrill: {{"at": "{NEVER}", "scenario": "gateway", ')
    tools = ", ".join(TOOLS)
    return f"""{text}
people: {{nightly: {{role: operator, keys: ["{public}"]}}}}
control: [gate1, {tools}]
unattended: {{on: [{tools}], person: nightly, key: "file:nightly"}}
notify: {{url: 'http://{receiver.place}/'}}
"""


def test_a_drill_by_the_tool_passes_and_its_report_stays_there(site: Site) -> None:
    site.drills.operator("apply", "--yes")
    said = site.drills.lab.exec(TOOLS[0], f"{COMMAND} schedule run drill", timeout=300)
    assert " passed: sha256 " in said.out
    assert not site.marked()
    verified = site.verified(TOOLS[0])
    assert ": passed\n" in verified
    assert "sound: all signatures" in verified
    assert site.heard() == [("started", TOOLS[0]), ("ended", TOOLS[0])]


def test_one_of_two_tools_makes_what_is_due_and_if_its_host_is_lost_the_other_one_does(site: Site) -> None:
    at = site.plan()
    wait_until(site.marked, 240)
    run = site.last_run()
    assert (run["state"], run["start"], run["tries"]) == ("running", f"{at:%Y-%m-%dT%H:%M:%SZ}", 1)
    first = run["machine"]
    (second,) = {*TOOLS} - {first}
    wait_until(lambda: "nothing is due" in site.journal(second), 60)
    site.drills.lab.kill(first)

    wait_until(lambda: site.last_run().get("state", "running") != "running", 600)
    run, journal = site.last_run(), site.journal(second)
    assert (run["machine"], run["tries"]) == (second, 2), journal
    assert f"the run on {first} since" in journal
    # All was restored and proven, but for what only the host that is down could say.
    assert run["state"] == "failed"
    (why,) = re.findall("failed: not passed; (.*); the report is", journal)
    assert set(why.split("; ")) == {"gate1: isolated: not run"}, journal
    assert not site.marked()
    assert "sound: all signatures" in site.verified(second)
    assert site.heard() == [("started", first), ("started", second), ("failed", second)]
    site.seals_what_was_left(first)

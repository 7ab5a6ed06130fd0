"""Two hosts have the tool: one makes the drill that is due; when its machine is lost, the other one makes it. etcd,
systemd's timers, sshd, restic and the loss of the host are real.
"""

from __future__ import annotations

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

    def runs(self) -> list[dict[str, Any]]:
        """Return what the control hosts know of the drills; empty while they can't say."""
        said = self.drills.operator("schedule", "list", "--json", check=None)
        return list(said.json["schedules"][0]["runs"]) if said.code == 0 else []

    def state(self) -> str:
        return next((str(one["state"]) for one in self.runs()), "")

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


def test_one_of_two_tools_makes_the_drill_and_if_it_is_lost_the_other_one_does(site: Site) -> None:
    at = site.plan()
    wait_until(site.marked, 240)
    (run,) = site.runs()
    assert (run["state"], run["start"], run["tries"]) == ("running", f"{at:%Y-%m-%dT%H:%M:%SZ}", 1)
    first = run["machine"]
    (second,) = {*TOOLS} - {first}
    wait_until(lambda: "nothing is due" in site.journal(second), 60)
    site.drills.lab.kill(first)

    wait_until(lambda: site.state() not in ("", "running"), 600)
    (run,) = site.runs()
    assert (run["state"], run["machine"], run["tries"]) == ("done", second, 2), site.journal(second)
    assert f"the run on {first} since" in site.journal(second)
    assert not site.marked()
    notices = [(one.document["event"], one.document["operator"].split(" ")[0]) for one in site.receiver.posted]
    assert notices == [
        ("started", f"rw_tool@{first}"),
        ("started", f"rw_tool@{second}"),
        ("ended", f"rw_tool@{second}"),
    ]
    proven = site.drills.lab.exec(second, f"{COMMAND} drill verify {STATE}/{site.drills.operator.path.stem}.drills")
    assert "1 report" in proven.out

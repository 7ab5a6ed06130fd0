"""A migration's log on a real control host: two checkouts take turns, and a log that was changed there is refused."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rackwright.lab.hosts import Lab, LabFleet
from tests.lab.operator import Operator, operator
from tests.lifecycle.migrate.desks import PLAN

pytestmark = pytest.mark.lab

STATE = "/var/lib/rackwright"
CLOUDS = """\
clouds:
  openai: {url: "https://api.openai.com/v1", key: file:provider-key, names: [gpt-4o-mini]}
"""
# A step as its command would carry it out: it writes records, and notes it.
STEP = """
import sys
from pathlib import Path
from rackwright.cli.common.context import hosts_needed
hosts_needed()
from rackwright.fleet.load import load_fleet
from rackwright.cli.common.console import Console
from rackwright.lifecycle.migrate.place import open_place
from rackwright.lifecycle.session.session import open_session
path, step, line = sys.argv[1:]
with open_session(load_fleet(Path(path))) as session:
    place = open_place(session, "support", Console(quiet=True, yes=True))
    if line:
        place.need_folder()
        place.folder.write("requests", [line])
    place.note(step, f"{step}: one more")
"""


@pytest.fixture
def anna(lab: Lab, lab_fleet: LabFleet, tmp_path: Path) -> Iterator[Operator]:
    """An operator whose control host, gate1, keeps nothing yet, and is left so."""
    (tmp_path / "anna").mkdir()
    made = operator(tmp_path / "anna", lab_fleet)
    made.path.write_text(made.path.read_text() + CLOUDS)
    (made.path.parent / "provider-key").write_text("provider-key\n")
    try:
        yield made
    finally:
        lab.exec("gate1", f"rm -rf {STATE}")


def step(operator: Operator, name: str, line: str = "", *, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-c", STEP, str(operator.path), name, line],
        capture_output=True,
        text=True,
        timeout=120,
        env=operator.environment,
    )
    assert (done.returncode == 0) is (code == 0), done.stderr
    return done.stderr


def fill_in(plan: Path) -> None:
    """Keep the key pair of the new plan; all else is another test's."""
    recipient = re.search("age1[a-z0-9]+", plan.read_text())
    assert recipient
    plan.write_text(PLAN.replace("RECIPIENT", recipient[0]).replace("file:identity", "file:support.key"))


def test_two_checkouts_take_turns_and_a_changed_log_is_refused(lab: Lab, anna: Operator, tmp_path: Path) -> None:
    anna("migrate", "init", "support", "--new-key", str(anna.path.parent / "support.key"))
    fill_in(anna.path.parent / "test.migrate-support.yml")
    capture = "rackwright migrate capture support, or rackwright migrate import support FILE"
    assert anna("migrate", "status", "support").out.rstrip().endswith(f"next: {capture}")
    step(anna, "import", '{"id": "r1"}')
    found = anna("migrate", "status", "support", "--json").json["migration"]
    assert [one["step"] for one in found["log"]] == ["init", "import"]
    assert (found["folder"]["state"], found["folder"]["requests"]) == ("same", 1)
    assert "import: one more" in lab.exec("gate1", f"cat {STATE}/audit.log").out

    # Another machine: the files that git has, and the key, but not the records.
    records = "test.migrate-support"
    shutil.copytree(anna.path.parent, tmp_path / "ben", ignore=shutil.ignore_patterns(records))
    ben = Operator(tmp_path / "ben" / "test.yml")
    found = ben("migrate", "status", "support", "--json").json["migration"]
    assert found["problems"][0]["what"] == "isn't on this machine"
    assert "isn't on this machine" in step(ben, "import", '{"id": "r2"}', code=1)
    shutil.copytree(anna.path.parent / records, tmp_path / "ben" / records)
    step(ben, "import", '{"id": "r2"}')
    assert "isn't the folder that the log knows, or an older copy" in step(anna, "import", '{"id": "r3"}', code=1)
    report = ben("migrate", "report", "support", "--html", str(tmp_path / "report.html"))
    assert "| 3 |" in report.out
    assert "<td>3</td>" in (tmp_path / "report.html").read_text()
    assert "AGE-SECRET" not in lab.exec("gate1", f"grep -r . {STATE}").out + report.out

    log = f"{STATE}/migrations/support.log"
    lab.exec("gate1", f"cp -a {log} /root/log && sed -i s/one/two/ {log}/000002.json")
    refused = ben("migrate", "status", "support", check=1).err
    assert "000003.json on gate1: entry 2 was changed: entry 3 follows another" in refused
    assert "entry 2 was changed" in step(ben, "assess", code=1)
    lab.exec("gate1", f"rm -r {log} && mv /root/log {log} && rm {log}/000003.json")
    assert "entry 3 is missing" in ben("migrate", "status", "support", check=1).err

"""An unattended update promotes a lock: it is on the branch of a real git server, and older checkouts wait."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rackwright.lab.hosts import Lab
from tests.lab.operator import Operator, operator
from tests.lab.standard import standard_lab
from tests.lab.versions import Versions

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "rackwright/cli/common/change_lock.py",
    "rackwright/cli/lock.py",
    "rackwright/lifecycle/lock",
    "rackwright/lifecycle/session/agreements.py",
    "rackwright/lifecycle/session/remember.py",
    "rackwright/lifecycle/update",
    "rackwright/state/applied.py",
    "rackwright/state/replaced_locks.py",
)
SERVER, BRANCH = "spare1", "rackwright-lock"
_INSTALL = """set -e
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq -y --no-install-recommends install git >/dev/null
useradd --create-home --shell /usr/bin/git-shell git
git init -q --bare -b main /srv/fleet.git
chown -R git: /srv/fleet.git
install -d -m 0700 -o git ~git/.ssh
"""
_ADMIT = "cat >~git/.ssh/authorized_keys; chown -R git: ~git/.ssh"
_IGNORED = "cache/\nconfig/\ndeploy*\n*.gguf\ntest.key\n"


@dataclass(frozen=True)
class House:
    lab: Lab
    site: Operator
    model: Versions
    url: str

    def git(self, *words: str, at: Operator | None = None) -> str:
        folder = (at or self.site).path.parent
        key = f"ssh -F /dev/null -i {self.site.path.with_name('deploy')} -o StrictHostKeyChecking=no"
        quiet = f"{key} -o UserKnownHostsFile=/dev/null -o IdentitiesOnly=yes -o LogLevel=ERROR"
        who = ["-c", "user.name=anna", "-c", "user.email=anna@example.org"]
        done = subprocess.run(
            ["git", "-C", folder, *who, *words],
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | {"GIT_SSH_COMMAND": quiet},
        )
        return done.stdout.strip()

    def commit(self, what: str) -> str:
        self.git("add", ".")
        self.git("commit", "-q", "-m", what)
        self.git("push", "-q", self.url, "HEAD:main")
        return self.git("rev-parse", "HEAD")

    def served(self, *words: str) -> str:
        return self.lab.exec(SERVER, f"runuser -u git -- git -C /srv/fleet.git {' '.join(words)}").out.strip()

    def allow(self, text: str) -> None:
        path = self.site.path
        before = path.read_text().partition("\nunattended:")[0].rstrip("\n")
        kind, key = self.lab.exec(SERVER, "cat /etc/ssh/ssh_host_ed25519_key.pub").out.split()[:2]
        repository = f"{{url: '{self.url}', key: 'file:deploy', host_key: {kind} {key}}}"
        path.write_text(f"{before}\n\nunattended:\n  allow: {text}\n  repository: {repository}\n")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with standard_lab("lockbranch", "gate1", "gpu1", SERVER, bare=(SERVER,)) as lab:
        lab.exec(SERVER, _INSTALL, timeout=300)
        fleet, folder = lab.fleet(), tmp_path_factory.mktemp("site")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "deploy"], check=True)
        lab.exec(SERVER, _ADMIT, input=(folder / "deploy.pub").read_text())
        site = operator(folder, fleet)
        made = House(lab, site, Versions(site), f"ssh://git@{fleet.hosts[SERVER]}/srv/fleet.git")
        made.git("init", "-q", "-b", "main")
        (folder / ".gitignore").write_text(_IGNORED)
        made.allow("{outage: all}")
        site("lock")
        site("apply", "--yes")
        made.commit("the fleet")
        yield made


def test_what_the_fleet_file_does_not_allow_stops_an_update_before_it_changes_anything(house: House) -> None:
    house.model.good("two")
    lock = house.site.path.with_name("test.lock").read_bytes()
    said = house.site("model", "update", "assistant", "--unattended", check=1)
    assert "an unattended run needs unattended.allow.downtime (model assistant) in the fleet file" in said.err
    assert house.site.path.with_name("test.lock").read_bytes() == lock
    assert "no rollout is open" in house.site("rollout", "status").out


def test_the_promoted_lock_is_on_the_branch_and_an_older_checkout_is_refused(house: House, tmp_path: Path) -> None:
    house.allow("{downtime: [assistant]}")
    base = house.commit("the model may be down while it changes")
    house.site("apply", "--yes")
    copied = shutil.copytree(house.site.path.parent, tmp_path / "colleague")
    colleague = Operator(Path(copied) / house.site.path.name)
    said = house.site("model", "update", "assistant", "--unattended")
    assert "allowed by unattended.allow.downtime (model assistant): assistant has one replica" in said.err
    assert f"pushed the lock to branch {BRANCH} of {house.url}" in said.err
    lock = house.site.path.with_name("test.lock").read_text()
    assert house.served("show", f"{BRANCH}:test.lock") == lock.strip()
    assert house.served("rev-parse", f"{BRANCH}^") == base
    assert house.served("diff", "--name-only", base, BRANCH) == "test.lock"
    assert "model assistant" in house.served("log", "-1", "--format=%B", BRANCH)

    refused = colleague("apply", "--yes", check=11)
    assert "this lock was replaced by one that" in refused.err
    assert "next: rackwright lock --applied" in refused.err
    assert "--not-stale" not in refused.err
    colleague("model", "update", "assistant", "--yes", "--allow-outage", check=11)
    colleague("lock", "--applied", "--yes")
    assert colleague.path.with_name("test.lock").read_text() == lock
    assert colleague("apply", "--yes", "--json").json["changed"] == 0


def test_a_branch_that_people_merge_is_what_was_applied(house: House) -> None:
    house.git("checkout", "-q", "test.lock")
    house.git("fetch", "-q", house.url, BRANCH)
    house.git("merge", "-q", "FETCH_HEAD")
    assert house.site("apply", "--yes", "--json").json["changed"] == 0


def test_a_push_that_fails_is_reported_and_the_update_stays(house: House) -> None:
    house.lab.exec(SERVER, "mv ~git/.ssh/authorized_keys ~git/.ssh/away")
    before = house.served("rev-parse", BRANCH)
    house.model.good("three")
    said = house.site("model", "update", "assistant", "--unattended", check=1)
    assert f"the promoted lock isn't on branch {BRANCH} of {house.url}" in said.err
    assert "Permission denied" in said.err
    assert "next: rackwright lock --applied" in said.err
    assert house.site("plan", "--json").json["changed"] == 0
    assert "no rollout is open" in house.site("rollout", "status").out
    assert house.served("rev-parse", BRANCH) == before
    house.lab.exec(SERVER, "mv ~git/.ssh/away ~git/.ssh/authorized_keys")
    house.model.good("four")
    house.site("model", "update", "assistant", "--unattended")
    assert house.served("rev-parse", f"{BRANCH}^") == before

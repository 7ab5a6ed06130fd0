"""One machine without SSH is a fleet, too: the tool runs on the host that is both gateway and serving host."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rackwright.lab import artefacts, fleet_file
from rackwright.lab.hosts import Lab
from tests.lab.labs import fresh_lab
from tests.lab.operator import Said

pytestmark = pytest.mark.lab
ROOT = Path(__file__).parents[2]
HOST = "box"


@dataclass(frozen=True)
class Box:
    """An operator who has logged in to the machine, as its ordinary user with sudo."""

    ssh: tuple[str, ...]

    def __call__(self, *words: str, check: int | None = 0) -> Said:
        done = self.shell(f"PYTHONPATH=tool python3 -m rackwright -f box.yml {shlex.join(words)}")
        assert check is None or done.returncode == check, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return Said(done.returncode, done.stdout, done.stderr)

    def shell(self, command: str, input: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self.ssh, command], input=input, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with fresh_lab("local", HOST) as lab:
        yield lab


@pytest.fixture(scope="module")
def box(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Box:
    """The tool, a model and a runtime are on the machine, next to a fleet file that names only this machine."""
    fleet = lab.fleet()
    lab.exec(HOST, "apt-get -q update && apt-get install -qy --no-install-recommends python3", timeout=300)
    options = ("-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={fleet.known_hosts}")
    made = Box(("ssh", "-i", str(fleet.key), *options, f"{fleet.user}@{fleet.hosts[HOST]}"))
    version = lab.exec(HOST, "python3 -c 'import platform; print(platform.python_version())'").out.strip()
    there = artefacts.ensure(lambda _: None)
    carry(made, installed(tmp_path_factory.mktemp("tool"), version), there.model.path, there.runtime.path)
    text = fleet_file.fleet_text(fleet, there)
    for path in (there.model.path, there.runtime.path):
        text = text.replace(str(path), f"/home/{fleet.user}/tool/{path.name}")
    head, _, tail = text.partition("\nhosts:")
    _, _, tail = tail.partition("\nmodels:")
    head = re.sub(r"^  ssh: .*\n", "", head, flags=re.MULTILINE)
    text = f'{head}\nhosts:\n  box: {{address: "@local"}}\n\nmodels:{tail}'
    assert made.shell("cat > box.yml", text).returncode == 0
    made("lock")
    return made


def installed(folder: Path, python: str) -> Path:
    """Install the tool and its dependencies for the host's Python into the folder."""
    wanted = folder / "requirements.txt"
    uv = subprocess.run([".ci/uv"], check=True, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    install = [uv, "pip", "install", "--quiet", "--no-deps", "--target", folder / "tool"]
    for command in (
        [uv, "export", "--quiet", "--no-dev", "--no-emit-project", "--locked", "--output-file", wanted],
        [*install, "--python-version", python, "--only-binary", ":all:", "--requirements", wanted],
        [*install, ROOT],
    ):
        subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return folder / "tool"


def carry(box: Box, tool: Path, *files: Path) -> None:
    command: list[str | Path] = ["tar", "-c", "-C", tool, "."]
    for file in files:
        command += ["-C", file.parent, file.name]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as packed:
        subprocess.run([*box.ssh, "mkdir tool && tar -x -C tool"], stdin=packed.stdout, check=True)
    assert packed.returncode == 0


def test_one_machine_becomes_an_endpoint_that_answers(box: Box, lab: Lab) -> None:
    checked = box("check", "--json").json
    assert checked["failed"] == 0
    assert {"this machine, and sudo"} == {c["found"] for c in checked["conditions"] if c["what"] == "reach"}
    applied = box("apply", "--yes", "--json").json
    assert (applied["failed"], applied["hosts"]["box"]["changed"] > 40) == (0, True)
    again = box("apply", "--yes", "--json").json
    assert (again["changed"], again["failed"]) == (0, 0)
    proven = box("verify", "--json").json
    assert proven["asked_from"].startswith("this machine itself")
    assert all(proof["passed"] for proof in proven["proofs"]), proven
    assert [replica["traffic"] for replica in box("status", "--json").json["replicas"]] == ["yes"]


def test_its_endpoint_answers_a_client_with_a_key(box: Box) -> None:
    key = box("key", "add", "ci", "--owner", "tests", "--json").json["key"]
    messages = [{"role": "user", "content": "Name three colors."}]
    body = json.dumps({"model": "assistant", "messages": messages, "max_tokens": 16})
    resolve = "--resolve llm.lab.internal:443:127.0.0.1 --cacert box.ca.crt"
    done = box.shell(
        f"curl -sS {resolve} -K - -d {shlex.quote(body)} https://llm.lab.internal/v1/chat/completions",
        f'header = "Authorization: Bearer {key}"\nheader = "Content-Type: application/json"\n',
    )
    assert json.loads(done.stdout)["choices"][0]["message"]["content"], done


def test_what_stops_its_engine_is_seen(box: Box) -> None:
    box.shell("sudo systemctl stop rackwright-assistant@1")
    proofs = box("verify", "--json", check=12).json["proofs"]
    endpoint = {f"{name}: a {kind}" for name in ("assistant", "gpt-4o-mini") for kind in ("completion", "stream")}
    host = {"its replicas are ready or busy", "assistant@1 runs what the lock says and answers as recorded"}
    assert {proof["what"] for proof in proofs if not proof["passed"]} == host | endpoint

"""The stand-in for a provider's API on a lab host outside of the fleet, with a real engine as its model."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rackwright.lab import artefacts
from rackwright.lab.hosts import Lab
from tests import stand_in_cloud
from tests.gateway.certificates import CertificateAuthority
from tests.stand_in_cloud import Fault
from tests.waiting import wait_until

PORT = 8443
_CONTROL = 8700
_PLACE = "/srv/cloud"
_ENGINE_PORT = 8001
_START = f"""set -eu
systemd-run -q --unit=engine --setenv=LD_LIBRARY_PATH={_PLACE}/runtime {_PLACE}/runtime/llama-server \
    --model {_PLACE}/{{model}} --host 127.0.0.1 --port {_ENGINE_PORT} \
    --threads 1 --parallel 2 --ctx-size 4096 --temp 0
systemd-run -q --unit=cloud sh -c '
    apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install python3
    exec python3 {_PLACE}/stand_in_cloud.py {_PLACE}/order.json'
"""
"""The golden set says no temperature, and a test needs the same answers each time."""


@dataclass(frozen=True)
class CloudHost:
    lab: Lab
    host: str

    @property
    def address(self) -> str:
        return self.lab.fleet().hosts[self.host]

    def wait(self) -> None:
        """Wait until stand-in and engine answer."""
        wait_until(lambda: self._holds(f"curl -sf http://127.0.0.1:{_ENGINE_PORT}/health"))
        wait_until(lambda: self._holds(f"curl -sf http://127.0.0.1:{_CONTROL}/faults"))

    def received(self) -> list[dict[str, Any]]:
        """Return every request so far, in order of arrival."""
        return list(self._control("received"))

    def completions(self) -> list[dict[str, Any]]:
        """Return those that a model answers."""
        return [one for one in self.received() if one["method"] == "POST"]

    def asked(self) -> Counter[str]:
        """Return how often each prompt has arrived."""
        return Counter(json.loads(one["body"])["messages"][-1]["content"] for one in self.completions())

    def fail(self, *faults: Fault) -> None:
        """Have these faults, and no others."""
        self._control("faults --data-binary @-", json.dumps([asdict(one) for one in faults]))

    def faults_left(self) -> int:
        """Return how many requests the faults are still to meet."""
        return sum(one["times"] for one in self._control("faults"))

    def _control(self, words: str, input: str | None = None) -> Any:
        return json.loads(self.lab.exec(self.host, f"curl -sSf http://127.0.0.1:{_CONTROL}/{words}", input=input).out)

    def _holds(self, command: str) -> bool:
        return self.lab.exec(self.host, command, check=False).code == 0


def volumes(folder: Path) -> tuple[str, ...]:
    """Fill the folder with the program and the engine; return what hosts must see to run them."""
    made = artefacts.ensure(lambda _: None)
    with tarfile.open(made.runtime.path) as archive:
        archive.extractall(folder, filter="data")
    (program,) = folder.rglob("llama-server")
    program.parent.rename(folder / "runtime")
    shutil.copy(stand_in_cloud.__file__, folder / "stand_in_cloud.py")
    model = made.model.path
    (folder / model.name).touch()
    return f"{folder}:{_PLACE}:ro", f"{model}:{_PLACE}/{model.name}:ro"


def start_cloud(
    lab: Lab, host: str, folder: Path, ca: CertificateAuthority, name: str, order: Mapping[str, Any]
) -> CloudHost:
    """Start the cloud on the host; it answers after `wait`. The folder is the one that `volumes` has filled."""
    cloud = CloudHost(lab, host)
    ca.issue("cloud", (name, cloud.address), client=False, folder=folder)
    files = {"certificate": f"{_PLACE}/cloud.crt", "key": f"{_PLACE}/cloud.key.cred"}
    ports = {"port": PORT, "control": _CONTROL, "engine": f"http://127.0.0.1:{_ENGINE_PORT}"}
    (folder / "order.json").write_text(json.dumps({**files, **ports, **order}))
    lab.exec(host, _START.format(model=artefacts.MODEL_FILE))
    return cloud

"""The fleet under attack: a gateway, a serving host with two models, and a host of the network without a role."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from rackwright.fleet.ca import CertificateAuthority
from rackwright.lab.hosts import Lab, LabFleet
from tests.lab.operator import Operator, operator
from tests.lab.standard import standard_lab
from tests.waiting import wait_until

HOSTS = ("gate1", "gpu1", "spare1")
MODELS = ("assistant", "other")
AUDITOR = "ben"
_MANY = ("--concurrency", "64")
_KEYS = {
    "whole": _MANY,
    "scoped": (*_MANY, "--model", "assistant"),
    "revoked": _MANY,
    "expired": (*_MANY, "--expires", "1h"),
}
"""Id → options. An attacker has at most `scoped` and the two that are no longer valid."""


@dataclass(frozen=True)
class Site:
    """The fleet while it serves."""

    lab: Lab
    fleet: LabFleet
    operator: Operator
    keys: dict[str, str]

    @property
    def gateway(self) -> str:
        return self.fleet.hosts["gate1"]

    @property
    def ca(self) -> Path:
        return self.operator.path.with_name("test.ca.crt")

    @cached_property
    def authority(self) -> CertificateAuthority:
        """The fleet's CA, whose private key only the operator has."""
        folder = self.operator.path.parent / "config" / "rackwright" / self.fleet.name
        return CertificateAuthority(self.fleet.name, self.ca, folder)

    def tell(self, host: str, command: str, *, input: str | None = None) -> str:
        return self.lab.exec(host, command, input=input).out

    def processes(self) -> str:
        """Return what changes if an engine or a proxy ends: its process, and how often it was started."""
        shown = "systemctl show -p Id,MainPID,NRestarts,ActiveState --value"
        engines = " ".join(f"rackwright-{model}@1" for model in MODELS)
        return self.tell("gpu1", f"{shown} {engines} rackwright-host-proxy") + self.tell(
            "gate1", f"{shown} rackwright-gateway"
        )


@contextmanager
def attacked(folder: Path) -> Iterator[Site]:
    """Run the fleet while it serves both models, with keys of all kinds; then remove it."""
    with standard_lab("attacks", *HOSTS, bare=("spare1",)) as lab:
        yield set_up(lab, folder)


def set_up(lab: Lab, folder: Path) -> Site:
    fleet = lab.fleet()
    site = operator(folder, fleet)
    key = folder / f"id_{AUDITOR}"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", AUDITOR, "-f", key], check=True)
    site.path.write_text(_extended(site.path.read_text(), Path(f"{key}.pub").read_text().strip()))
    site("lock")
    keys = {
        name: str(site("key", "add", name, "--owner", "tests", "--later", "--json", *options).json["key"])
        for name, options in _KEYS.items()
    }
    listed = site.path.with_name("test.keys.yml")
    listed.write_text(re.sub(r"(expires: )\S+", r"\g<1>'2026-01-01T00:00:00Z'", listed.read_text()))
    site("apply", "--yes")
    site("key", "revoke", "revoked", "--yes")
    made = Site(lab, fleet, site, keys)
    wait_until(lambda: all(one["traffic"] == "yes" for one in site.replicas().values()))
    return made


def _extended(text: str, auditor: str) -> str:
    """Return the lab's fleet file with the same weights once more, as another model, and an auditor."""
    first, second = MODELS
    model = re.search(rf"^  {first}:\n(?:    .*\n)+", text, re.MULTILINE)
    assert model
    other = (
        model[0]
        .replace(f"  {first}:", f"  {second}:")
        .replace(f"names: [{first}, gpt-4o-mini]", f"names: [{second}]")
    )
    return (
        text.replace(model[0], model[0] + other) + f"\npeople:\n  {AUDITOR}: {{role: auditor, keys: [{auditor}]}}\n"
    )

"""Whether the certificates that are due can be issued: the CA and its key are on this machine."""

from __future__ import annotations

import shlex
from binascii import a2b_base64
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rackwright.errors import RackwrightError, SecretError
from rackwright.fleet.ca import ca_of
from rackwright.fleet.x509 import certificate_due
from rackwright.lifecycle.check.result import Condition, State
from rackwright.roles.certificate.settings import FOLDER
from rackwright.roles.certificate.settings import Settings as Certificate

if TYPE_CHECKING:
    from rackwright.fleet.fleet import Fleet
    from rackwright.fleet.hosts.host_spec import HostSpec

KEY = "pem"


def questions(spec: HostSpec) -> Iterator[str]:
    """Yield a line of the script for each certificate of the fleet's CA that the host should have."""
    for one in spec.certificates:
        path = shlex.quote(f"{FOLDER}/{one.name}.crt")
        yield f"[ ! -f {path} ] || echo {KEY} {shlex.quote(one.name)} $(base64 -w0 -- {path})"


def kept(values: Iterable[str]) -> dict[str, str]:
    """Given the values of KEY, return the host's certificates (PEM) by name. One that isn't base64 counts as none."""
    found = {}
    for name, _, text in (value.partition(" ") for value in values):
        with suppress(ValueError):
            found[name] = a2b_base64(text, strict_mode=True).decode(errors="replace")
    return found


def due(spec: HostSpec, certificates: Mapping[str, str], ca: str, now: datetime) -> tuple[str, ...]:
    """Return the names of the host's certificates that the next apply would issue; `ca`: the CA (PEM), or empty."""
    return tuple(one.name for one in spec.certificates if _due(one, certificates.get(one.name), ca, now))


def _due(asked: Certificate, pem: str | None, ca: str, now: datetime) -> str | None:
    names, client, days = asked.names, asked.client, asked.days
    return certificate_due(pem, names=names, client=client, ca_certificate=ca or None, now=now, days=days)


def due_on_hosts(
    fleet: Fleet, specs: Mapping[str, HostSpec], having: Mapping[str, Mapping[str, str]]
) -> dict[str, tuple[str, ...]]:
    """Return the certificates that the next apply would issue, for each host with any; `having`: what each has."""
    ca, now = ca_of(fleet).ca_pem, datetime.now(UTC)
    found = {host: due(specs[host], certificates, ca, now) for host, certificates in having.items()}
    return {host: names for host, names in found.items() if names}


def judge_ca(fleet: Fleet, due: Mapping[str, tuple[str, ...]], *, certified: bool) -> Condition:
    """Return the condition of the CA, given which certificates of which hosts are due.

    `certified`: a host has a certificate already, so the fleet has a CA.
    """
    authority = ca_of(fleet)
    name = authority.certificate_file.name
    if not authority.ca_pem:
        if certified:
            found = f"{name} is missing, and hosts have certificates"
            return Condition("controller", "ca", State.FAILED, found, "git pull, or rackwright ca fetch")
        return Condition("controller", "ca", State.OK, "none yet: the first apply creates it")
    try:
        authority.private_key()
    except RackwrightError as error:
        problem = error.problems[0]
        if not isinstance(error, SecretError):
            return Condition("controller", "ca", State.FAILED, f"{name} {problem.what}", "git pull")
        if not due:
            found = f"{name}; {problem.what}, and no certificate is due"
            return Condition("controller", "ca", State.OK, found)
        hosts = ", ".join(f"{host} ({', '.join(names)})" for host, names in due.items())
        next_ = f"put it at {authority.key_file}, or run the apply on a machine that has it"
        return Condition(
            "controller", "ca", State.FAILED, f"{problem.what}, and certificates are due: {hosts}", next_
        )
    return Condition("controller", "ca", State.OK, f"{name}, with its key")

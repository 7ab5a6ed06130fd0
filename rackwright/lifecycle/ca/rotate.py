"""Rotate the fleet's CA step by step: both CAs are trusted in between, so no client and no host refuses another.

NAME.ca.crt says how far it is: the first certificate issues, and all are trusted. Each step changes only this file on
this machine, and the apply that follows brings it to the hosts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rackwright.errors import RackwrightError
from rackwright.fleet.ca import CertificateAuthority, ca_of
from rackwright.fleet.x509 import certificates_in, issued_at
from rackwright.lifecycle.ca.on_hosts import HostCertificate, certificates_on, not_issued_by, without_trust
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.session import Session

_TELL = "give every client the certificates that rackwright ca show prints"
_APPLY, _ROTATE = "rackwright apply", "rackwright ca rotate"


class Stage(StrEnum):
    SINGLE = "one CA"
    TRUSTED = "the old CA issues, both are trusted"
    ISSUING = "the new CA issues, both are trusted"


@dataclass(frozen=True)
class Rotated:
    """What a step has changed."""

    stage: Stage
    """The current one."""
    then: tuple[str, ...]
    """What the operator does next, in this order."""


def stage_of(authority: CertificateAuthority) -> Stage:
    """Return how far the rotation is. Raise RackwrightError if there is no CA, or if the file isn't one of ours."""
    place, found = str(authority.certificate_file), certificates_in(authority.ca_pem)
    if not found:
        raise RackwrightError("the fleet has no CA yet", where=place, next=_APPLY)
    if len(found) > 2:
        raise RackwrightError(f"contains {len(found)} certificates", where=place, should="one, or two in a rotation")
    try:
        first, last = issued_at(found[0]), issued_at(found[-1])
    except ValueError:
        raise RackwrightError("contains no PEM certificate", where=place) from None
    if len(found) == 1:
        return Stage.SINGLE
    return Stage.ISSUING if first > last else Stage.TRUSTED


def rotate(session: Session, console: Console, *, back: bool = False) -> Rotated:
    """Take the next step of the rotation, or with `back` undo the last one; ask first.

    Raise RackwrightError if there is nothing to undo, the hosts aren't ready for the step, or a key is missing.
    """
    authority = ca_of(session.fleet)
    stage, steps = stage_of(authority), _Steps(session, authority, console)
    if back and stage is Stage.SINGLE:
        raise RackwrightError("no rotation is in progress", where=str(authority.certificate_file))
    if back:
        return steps.withdraw() if stage is Stage.TRUSTED else steps.issue_by_old()
    forward = {Stage.SINGLE: steps.add, Stage.TRUSTED: steps.issue_by_new, Stage.ISSUING: steps.end}
    return forward[stage]()


@dataclass(frozen=True)
class _Steps:
    session: Session
    authority: CertificateAuthority
    console: Console

    def add(self) -> Rotated:
        authority = self.authority
        self.console.say("A new CA is trusted next to the old one, which still issues. No client notices.")
        self.console.confirm("Create a new CA?")
        new = authority.new(f"rackwright {authority.fleet}, {authority.clock():%Y-%m-%d %H:%M:%S}")
        authority.write("".join((*self._cas, new)))
        return Rotated(Stage.TRUSTED, (_APPLY, _TELL, _ROTATE))

    def issue_by_new(self) -> Rotated:
        old, new = self._cas
        # The next apply issues with it.
        self.authority.key_of(new)
        self._refuse(without_trust(self._on_hosts, new), "don't trust the new CA yet")
        if self.session.fleet.file.gateway.certificate is None:
            self.console.say("After the next apply, only clients that trust the new CA can connect.")
        self.console.confirm("Let the new CA issue?")
        self.authority.write(new + old)
        return Rotated(Stage.ISSUING, (_APPLY, _ROTATE))

    def end(self) -> Rotated:
        new, old = self._cas
        self._refuse(not_issued_by(self._on_hosts, new), "still have certificates of the old CA")
        path = self.authority.file_of(old)
        self.console.say(f"The old CA is no longer trusted. Its key stays in {path}, if it is there.")
        self.console.confirm("End the old CA?")
        self.authority.write(new)
        return Rotated(Stage.SINGLE, (_APPLY, _TELL))

    def issue_by_old(self) -> Rotated:
        new, old = self._cas
        self.authority.key_of(old)
        self.console.confirm("Let the old CA issue again?")
        self.authority.write(old + new)
        return Rotated(Stage.TRUSTED, (_APPLY,))

    def withdraw(self) -> Rotated:
        old, _ = self._cas
        self._refuse(not_issued_by(self._on_hosts, old), "still have certificates of the new CA")
        self.console.confirm("Withdraw the new CA?")
        self.authority.write(old)
        return Rotated(Stage.SINGLE, (_APPLY,))

    @property
    def _cas(self) -> tuple[str, ...]:
        return certificates_in(self.authority.ca_pem)

    @property
    def _on_hosts(self) -> dict[str, tuple[HostCertificate, ...]]:
        return certificates_on(self.session)

    @staticmethod
    def _refuse(hosts: list[str], what: str) -> None:
        if hosts:
            raise RackwrightError(f"these hosts {what}", next=_APPLY, listed=hosts)

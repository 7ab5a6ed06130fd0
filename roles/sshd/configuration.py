"""rackwright's drop-in for sshd, compared with the other files. No pyinfra."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from rackwright.errors import Problem
from rackwright.operations.banner import ISSUE_NET
from rackwright.operations.facts.sshd import FOLDER, MAIN, Line, Sshd
from rackwright.operations.sshd import INCLUDE
from rackwright.roles.people.settings import AUDITORS
from rackwright.roles.sshd.settings import Settings


@dataclass(frozen=True)
class Directive:
    keyword: str
    value: str
    stricter: tuple[str, ...] = ()
    """Stricter values that another file may set instead; they apply then."""
    free: bool = False
    """Another file may set any value instead; it applies then."""
    limit: bool = False
    """Another file may set a smaller number or time instead, except zero, which means no limit; it applies then."""

    def allows(self, value: str) -> bool:
        """Return whether a value, from another file or effective, is at least as strict as this one."""
        if self.free:
            return True
        if self.limit:
            return 1 <= _amount(value) <= _amount(self.value)
        if self.value.startswith("-"):
            removed = self.value[1:].split(",")
            taken = value[1:].split(",") if value.startswith("-") else ()
            return value == self.value or (
                not taken and not any(fnmatchcase(name, gone) for name in value.split(",") for gone in removed)
            )
        return _plain(value) in (self.value.lower(), *self.stricter)


# Algorithms are removed from the defaults of the host's own OpenSSH. So a newer version automatically brings newer
# algorithms, and an older one doesn't need to know them. ssh-audit fails or warns about these patterns.
ALGORITHMS = (
    Directive(
        "KexAlgorithms",
        "-diffie-hellman-group1-*,diffie-hellman-group14-*,diffie-hellman-group-exchange-*,ecdh-sha2-nistp*",
    ),
    Directive("Ciphers", "-3des-cbc,aes*-cbc,arcfour*,rijndael-cbc*"),
    Directive("MACs", "-hmac-md5*,hmac-sha1*,hmac-sha2-256,hmac-sha2-512,umac-64*,umac-128@*"),
    Directive("HostKeyAlgorithms", "-ecdsa-sha2-*,sk-ecdsa-sha2-*,ssh-dss*,ssh-rsa,ssh-rsa-cert-*,webauthn-*"),
)
_KEYS_ONLY = (
    Directive("PubkeyAuthentication", "yes"),
    Directive("PasswordAuthentication", "no"),
    Directive("KbdInteractiveAuthentication", "no"),
    Directive("HostbasedAuthentication", "no"),
    Directive("PermitEmptyPasswords", "no"),
    Directive("X11Forwarding", "no"),
    # Logs which of a person's keys was let in or refused, and what kind of session it began.
    Directive("LogLevel", "VERBOSE", ("debug", "debug1", "debug2", "debug3")),
    # A session whose client is gone ends after ten minutes. Others could forge TCP's keepalives, but not sshd's.
    Directive("TCPKeepAlive", "no"),
    Directive("ClientAliveInterval", "300", limit=True),
    Directive("ClientAliveCountMax", "2", limit=True),
)
# Someone who becomes root on a host could use the agent of everyone who forwards it there.
_AGENT = {
    "no": Directive("AllowAgentForwarding", "no"),
    "yes": Directive("AllowAgentForwarding", "yes", free=True),
}
_OUR_BANNER = Directive("Banner", ISSUE_NET)
_ANY_BANNER = Directive("Banner", "none", free=True)
# DisableForwarding alone would do, but before OpenSSH 10.0 it left agent and X11 forwarding on (CVE-2025-32728).
_AUDITORS = (
    Directive("DisableForwarding", "yes"),
    Directive("AllowTcpForwarding", "no"),
    Directive("AllowStreamLocalForwarding", "no"),
    Directive("AllowAgentForwarding", "no"),
    Directive("X11Forwarding", "no"),
    Directive("PermitTunnel", "no"),
)
"""For auditors, in a Match block: no line of their own authorized_keys undoes it, and none outside of a block."""
_ROOT = {
    "keys": Directive("PermitRootLogin", "prohibit-password", ("forced-commands-only", "no")),
    "no": Directive("PermitRootLogin", "no"),
}
_ANOTHER_NAME = {"without-password": "prohibit-password"}
_OTHER_KEYWORDS = {"challengeresponseauthentication": "kbdinteractiveauthentication"}
"""Older name → keyword."""


def directives(settings: Settings) -> tuple[Directive, ...]:
    """Return what the settings ask for: always the same keywords, in the same order."""
    banner = _OUR_BANNER if settings.banner else _ANY_BANNER
    return (*_KEYS_ONLY, _AGENT[settings.agent_forwarding], banner, _ROOT[settings.root_login], *ALGORITHMS)


KEYWORDS = tuple(directive.keyword.lower() for directive in directives(Settings()))


def configuration(settings: Settings, state: Sshd) -> str:
    """Return the drop-in. It always has the same keywords, so that pending settings override all confirmed ones."""
    lines = [f"{directive.keyword} {_value(settings, directive, state)}" for directive in directives(settings)]
    auditors = [f"    {directive.keyword} {directive.value}" for directive in _AUDITORS]
    return "\n".join(
        [
            INCLUDE,
            "# Written by rackwright: baseline.sshd of the fleet file. Unconfirmed settings are read before it.",
            *lines,
            f"Match Group {AUDITORS}",
            *auditors,
            "",
        ]
    )


def overridden(settings: Settings, state: Sshd) -> tuple[str, ...]:
    """Return the lines of other files that rackwright's overrides, as FILE:LINE KEYWORD VALUE."""
    return tuple(
        f"{line.place} {directive.keyword} {line.value}"
        for directive, line in _said(settings, state)
        if not (line.first or line.match or settings.existing == "keep" or directive.allows(line.value))
    )


def opposed(settings: Settings, state: Sshd) -> tuple[str, ...]:
    """Return the lines of other files that override rackwright's: they are read first, or are in a Match block.

    Also those that stay although the fleet file asks for something else, and those that may apply to auditors.
    """
    for_all = {
        line.place: f"{line.place} says {directive.keyword} {line.value} "
        + (f"within `Match {line.match}`" if line.match else f"and is read before rackwright's ({directive.value})")
        for directive, line in _said(settings, state)
        if settings.existing == "replace" and (line.first or line.match) and not directive.allows(line.value)
    }
    # Of several Match blocks that fit a person, the one that is read first wins.
    auditors = {directive.keyword.lower(): directive for directive in _AUDITORS}
    for_auditors = {
        line.place: f"{line.place} says {found.keyword} {line.value} within `Match {line.match}`, "
        "which may apply to auditors"
        for line in state.lines
        if line.first and line.match and (found := auditors.get(line.keyword)) and not found.allows(line.value)
    }
    return (*{**for_auditors, **for_all}.values(), *_asked_in_vain(settings, state))


def _asked_in_vain(settings: Settings, state: Sshd) -> Iterator[str]:
    """Yield the lines of other files that stay, and keep from acting what the fleet file asks for by name."""
    asked = {"AllowAgentForwarding": settings.agent_forwarding == "yes"}
    asked["Banner"] = settings.existing == "keep" and settings.banner is not None
    stay: dict[Directive, Line] = {}
    for directive, line in _said(settings, state):
        if asked.get(directive.keyword) and not line.match:
            stay.setdefault(directive, line)
    for directive, line in stay.items():
        if _plain(line.value) != directive.value:
            yield (
                f"{line.place} says {directive.keyword} {line.value}, which stays; "
                f"the fleet file asks for {directive.value}"
            )


def unread(state: Sshd) -> Problem | None:
    """Return a problem if sshd doesn't read rackwright's drop-in."""
    if state.included:
        return None
    return Problem(
        "sshd",
        f"{MAIN} doesn't include {FOLDER}, or only within a Match block",
        f"write `Include {FOLDER}/*.conf` as its first line",
        "rackwright plan",
    )


def decided(settings: Settings, state: Sshd) -> tuple[str, ...]:
    """Return the keywords, in lower case, that no other file overrides."""
    lost = {directive.keyword for directive, line in _said(settings, state) if line.first and not line.match}
    return tuple(found.keyword.lower() for found in directives(settings) if found.keyword not in lost)


def acts(settings: Settings, state: Sshd) -> bool:
    """Return whether the effective settings are the wanted ones. Keywords that sshd doesn't report are ignored."""
    if state.pending:
        return False
    if settings.existing == "keep":
        return True
    keywords = set(decided(settings, state)) & set(state.effective)
    return all(
        directive.allows(state.effective[directive.keyword.lower()])
        for directive in directives(settings)
        if directive.keyword.lower() in keywords
    )


def _value(settings: Settings, directive: Directive, state: Sshd) -> str:
    said = next((line.value for found, line in _said(settings, state) if found is directive and not line.match), None)
    adopted = directive.free or (directive.limit and said and directive.allows(said))
    if said and (settings.existing == "keep" or adopted or _plain(said) in directive.stricter):
        return said
    return directive.value


def _said(settings: Settings, state: Sshd) -> Iterator[tuple[Directive, Line]]:
    """Yield each line of other files that sets one of these keywords, in sshd's order."""
    ours = {directive.keyword.lower(): directive for directive in directives(settings)}
    for line in state.lines:
        if directive := ours.get(_OTHER_KEYWORDS.get(line.keyword, line.keyword)):
            yield directive, line


def _amount(value: str) -> int:
    """Return the number, or the seconds of a time like 5m or 1h30m; 0 if it is neither."""
    units = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
    text = _plain(value)
    if not re.fullmatch(r"([0-9]{1,9}[smhdw])*[0-9]{0,9}", text):
        return 0
    return sum(int(number) * units[unit] for number, unit in re.findall(r"([0-9]+)([smhdw]?)", text))


def _plain(value: str) -> str:
    text = value.strip().lower()
    return _ANOTHER_NAME.get(text, text)

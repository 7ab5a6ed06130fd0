"""rackwright's drop-in for sshd, compared with the other files. No pyinfra."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from rackwright.errors import Problem
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

    def allows(self, value: str) -> bool:
        """Return whether a value, from another file or effective, is at least as strict as this one."""
        if self.value.startswith("-"):
            removed = self.value[1:].split(",")
            taken = value[1:].split(",") if value.startswith("-") else ()
            return value == self.value or (
                not taken and not any(fnmatchcase(name, gone) for name in value.split(",") for gone in removed)
            )
        return _plain(value) in (self.value, *self.stricter)


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
)
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
KEYWORDS = tuple(directive.keyword.lower() for directive in (*_KEYS_ONLY, _ROOT["keys"], *ALGORITHMS))


def directives(settings: Settings) -> tuple[Directive, ...]:
    return (*_KEYS_ONLY, _ROOT[settings.root_login], *ALGORITHMS)


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
    """Return the lines of other files that override rackwright's: they are read first, or are in a Match block."""
    for_all = tuple(
        f"{line.place} says {directive.keyword} {line.value} "
        + (f"within `Match {line.match}`" if line.match else f"and is read before rackwright's ({directive.value})")
        for directive, line in _said(settings, state)
        if settings.existing == "replace" and (line.first or line.match) and not directive.allows(line.value)
    )
    # Of several Match blocks that fit a person, the one that is read first wins.
    for_auditors = tuple(
        f"{line.place} says DisableForwarding {line.value} within `Match {line.match}`, which may apply to auditors"
        for line in state.lines
        if line.first and line.match and line.keyword == "disableforwarding" and _plain(line.value) != "yes"
    )
    return (*for_all, *for_auditors)


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
    if said and (settings.existing == "keep" or _plain(said) in directive.stricter):
        return said
    return directive.value


def _said(settings: Settings, state: Sshd) -> Iterator[tuple[Directive, Line]]:
    """Yield each line of other files that sets one of these keywords, in sshd's order."""
    ours = {directive.keyword.lower(): directive for directive in directives(settings)}
    for line in state.lines:
        if directive := ours.get(_OTHER_KEYWORDS.get(line.keyword, line.keyword)):
            yield directive, line


def _plain(value: str) -> str:
    text = value.strip().lower()
    return _ANOTHER_NAME.get(text, text)

"""Whether the system checks new passwords."""

from __future__ import annotations

from pyinfra.api.facts import FactBase

STACK = "/etc/pam.d/common-password"


class PasswordsChecked(FactBase[bool]):
    """Return whether PAM checks the strength of new passwords."""

    def command(self) -> str:
        return f"grep -Eqs '^[^#]*pam_(pwquality|passwdqc|cracklib)[.]so' {STACK} && echo yes || true"

    @staticmethod
    def default() -> bool:
        return False

    def process(self, output: list[str]) -> bool:
        return output == ["yes"]

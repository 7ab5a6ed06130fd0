"""The check of new passwords."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra.api.command import PyinfraCommand
from pyinfra.api.facts import FactBase
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.facts.packages import InstalledPackages
from rackwright.operations.plan_notes import note

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


@operation()
def passwords_checked(*, package: str) -> Generator[PyinfraCommand]:
    """Add a note if the package is installed and PAM doesn't check new passwords. Changes nothing."""
    if package in host.get_fact(InstalledPackages) and not host.get_fact(PasswordsChecked):
        note(
            f"{STACK} doesn't check new passwords. It was edited manually, so {package} left it alone: add "
            "`password requisite pam_pwquality.so retry=3` before pam_unix.so"
        )
    yield from ()

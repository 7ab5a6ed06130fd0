"""A change to a host's access that is undone automatically unless a new connection proves that it works."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from io import BytesIO

from pyinfra.api.command import FileUploadCommand, PyinfraCommand, StringCommand

_BEGIN = """set -e
{check}
if systemctl -q is-active {timer}; then systemctl stop {timer}; sh {revert}; fi
{save}
systemd-run --quiet --collect --unit={unit} --on-active={seconds} --timer-property=AccuracySec=100ms sh {revert}
{{ {act}; }} || {{ systemctl stop {timer}; sh {revert}; exit 1; }}
{note}
"""

_KEEP = """set -e
if systemctl -q is-active {timer}; then systemctl stop {timer}; fi
{{ {acts}; }} || {{
echo '{lost} came back; run: rackwright apply' >&2
exit 1; }}
"""


@dataclass(frozen=True)
class Undoable:
    """One thing that is changed in this way; `what` is its name: `firewall`, `sshd`."""

    what: str

    @property
    def folder(self) -> str:
        """In /run: after a reboot only confirmed changes are active, so there is nothing to undo."""
        return f"/run/rackwright-{self.what}"

    @property
    def new(self) -> str:
        """The file that `begin` uploads."""
        return f"{self.folder}/new"

    @property
    def revert(self) -> str:
        """The script that restores the old state; `save` writes it."""
        return f"{self.folder}/revert"

    @property
    def timer(self) -> str:
        """Active while the change waits for its confirmation."""
        return f"rackwright-{self.what}-revert.timer"

    def begin(
        self, content: str, *, check: str, save: str, act: str, seconds: int, note: str = "true"
    ) -> Generator[PyinfraCommand]:
        """Activate the new state for `seconds`; then the old one returns unless `keep` runs first.

        `content` is written to `new` first. The shell commands run in this order: `check` fails if the content is
        bad, `save` writes `revert`, `act` activates the new state (but not at boot), and `note` runs if that worked.
        A change that is already pending is undone first, so the state that returns is the last confirmed one.
        """
        yield StringCommand(f"install -d -m 0700 {self.folder}")
        yield FileUploadCommand(BytesIO(content.encode()), self.new)
        unit = self.timer.removesuffix(".timer")
        yield StringCommand(
            _BEGIN.format(
                **{"check": check, "save": save, "act": act, "note": note, "seconds": int(seconds)},
                **{"timer": self.timer, "revert": self.revert, "unit": unit},
            )
        )

    def keep(self, *, acts: str, lost: str) -> StringCommand:
        """Return a command that stops the timer, or fails and says that `lost` came back.

        `acts` is a shell command that fails if the new state is no longer active.
        """
        return StringCommand(_KEEP.format(timer=self.timer, acts=acts, lost=lost))

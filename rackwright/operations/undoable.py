"""A change to how one gets into a host, which undoes itself unless a fresh connection proves that we still get in."""

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
    """What is changed in this way, by its name: `firewall`, `sshd`."""

    what: str

    @property
    def folder(self) -> str:
        """Under /run: after a reboot only what was confirmed acts, so nothing is left to undo."""
        return f"/run/rackwright-{self.what}"

    @property
    def new(self) -> str:
        """The file that `begin` brings."""
        return f"{self.folder}/new"

    @property
    def revert(self) -> str:
        """The script that brings the old state back; `save` writes it."""
        return f"{self.folder}/revert"

    @property
    def timer(self) -> str:
        """Active while the change waits for its confirmation."""
        return f"rackwright-{self.what}-revert.timer"

    def begin(
        self, content: str, *, check: str, save: str, act: str, seconds: int, note: str = "true"
    ) -> Generator[PyinfraCommand]:
        """Afterwards the new state acts for `seconds`, then the old one again, unless `keep` comes before.

        `content` stands in `new` by then. Shell commands in this order: `check` fails where it is not good, `save`
        writes `revert`, `act` changes what acts (at boot the old state still must), `note` follows if it went well.
        A change that is pending already is undone first: what comes back is what was confirmed last.
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
        """The timer is stopped afterwards, or the command fails and says that `lost` came back.

        `acts` is a shell command that fails where the new state doesn't act any more.
        """
        return StringCommand(_KEEP.format(timer=self.timer, acts=acts, lost=lost))

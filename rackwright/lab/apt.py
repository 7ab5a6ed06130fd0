"""This machine's own apt settings, as far as a Debian lab host can use them.

Sources, proxies and extra CAs are read when the image is built. None is in this repository.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

RELEASE = "trixie"
_ARCHIVES = ((RELEASE, f"{RELEASE}-updates", "debian"), (f"{RELEASE}-security", "", "debian-security"))
_KEYRING = "/usr/share/keyrings/debian-archive-keyring"
_KEPT_SETTINGS = ("Acquire::http", "Acquire::https", "Acquire::Check-", "Acquire::Retries")


def stanza(types: str, uri: str, suites: str, components: str) -> str:
    return f"Types: {types}\nURIs: {uri}\nSuites: {suites}\nComponents: {components}\nSigned-By: {_KEYRING}.pgp\n"


def default_sources() -> str:
    """Debian's public archives, for a machine that isn't Debian itself."""
    return "\n".join(
        stanza("deb", f"http://deb.debian.org/{folder}", f"{suite} {updates}".strip(), "main")
        for suite, updates, folder in _ARCHIVES
    )


def usable_stanzas(text: str) -> list[str]:
    """Given a deb822 file, return the stanzas for Debian's signed archives of RELEASE over HTTP or HTTPS."""
    found = []
    for block in text.split("\n\n"):
        fields = {
            key.strip().lower(): value.strip()
            for key, separator, value in (line.partition(":") for line in block.splitlines())
            if separator and not line_is_comment(key)
        }
        suites = [suite for suite in fields.get("suites", "").split() if suite.split("-")[0] == RELEASE]
        uris = fields.get("uris", "").split()
        signed_by = fields.get("signed-by", _KEYRING)
        if (
            suites
            and uris
            and all(uri.startswith(("http://", "https://")) for uri in uris)
            and "deb" in fields.get("types", "").split()
            and signed_by.startswith(_KEYRING)
            and fields.get("enabled", "yes").lower() not in ("no", "false")
        ):
            found.append(stanza("deb", " ".join(uris), " ".join(suites), fields.get("components", "main")))
    return found


def line_is_comment(text: str) -> bool:
    return text.lstrip().startswith("#")


def usable_lines(text: str) -> list[str]:
    """Given a one-line-style file, return stanzas for its archives of RELEASE over HTTP or HTTPS."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 4 or words[0] != "deb":
            continue
        if words[1].startswith("["):
            option = " ".join(words)
            if f"signed-by={_KEYRING}" not in option or "]" not in option:
                continue
            words = ["deb", *option.partition("]")[2].split()]
        if words[1].startswith(("http://", "https://")) and words[2].split("-")[0] == RELEASE:
            found.append(stanza("deb", words[1], words[2], " ".join(words[3:])))
    return found


def sources(folder: Path = Path("/etc/apt")) -> str:
    """Return the deb822 text of a lab host's sources: this machine's own if it has usable ones, else Debian's."""
    found: list[str] = []
    for path in sorted((folder / "sources.list.d").glob("*.sources")):
        found += usable_stanzas(path.read_text())
    for path in [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*.list"))]:
        if path.exists():
            found += usable_lines(path.read_text())
    return "\n".join(found) or default_sources()


def settings(dump: str) -> str:
    """Given the output of `apt-config dump`, return the lines on proxies, certificates and date checks."""
    kept = [line for line in dump.splitlines() if line.startswith(_KEPT_SETTINGS) and not line.endswith(' "";')]
    return "".join(f"{line}\n" for line in kept)


def own_settings() -> str:
    done = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False)
    return settings(done.stdout)


def cas() -> dict[str, str]:
    """Return this machine's extra CAs by file name."""
    folder = Path("/usr/local/share/ca-certificates")
    return {path.name: path.read_text() for path in sorted(folder.rglob("*.crt"))}

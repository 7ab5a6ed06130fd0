"""The parser of what the script in state.py prints."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

from rackwright.hardware.plain_text import plain
from rackwright.package_set import Package, PackageChange
from rackwright.roles.boot.one_boot import OneBoot, parse_one_boot
from rackwright.roles.patch.state import Cves, Offered, PatchState, Space, Way

_NAME = r"[a-z0-9][a-z0-9+.-]{0,98}"
_ARCHITECTURE = r"[a-z0-9-]{1,16}"
_INST = re.compile(
    rf"Inst ({_NAME})(?::{_ARCHITECTURE})?(?: \[(\S{{1,100}})\])? "
    rf"\((\S{{1,100}}) ([^\[\]]{{1,400}}) \[({_ARCHITECTURE})\]\).*"
)
_URI = re.compile(
    rf"'([^' ]{{1,1000}})' ({_NAME})_(\S{{1,200}})_({_ARCHITECTURE})\.deb (\d{{1,15}}) SHA256:([0-9a-f]{{64}})"
)
_WAYS: dict[str, Way] = {"archive": "archive", "cache": "cache", "repack": "repack", "none": "none"}
_SECURITY = re.compile(r"Debian-Security:|-security(,|$)")
_CVE = re.compile(r"(?:CVE-\d{4}-\d{4,8}|TEMP-[0-9A-F-]{1,30})")
_MOST_LINES = 50_000
_NUMBER = re.compile(r"\d{1,18}")


def parse_state(output: str) -> PatchState:
    """Return what the host said. Raise ValueError if it isn't complete, or if apt would remove a package."""
    lines = output.splitlines()
    if len(lines) > _MOST_LINES or not lines or lines[-1] != "end":
        raise ValueError("its answer is incomplete")
    if removed := [line.split(" ")[1] for line in lines if re.match("Remv [a-z0-9]", line)]:
        raise ValueError(f"apt would remove {', '.join(map(_plain, removed[:5]))}")
    said = _Said(lines)
    system = said.one("system").rpartition(" ")
    asked = set(said.all("asked"))
    return PatchState(
        system=_plain(system[0]),
        architecture=_plain(system[2]),
        running=_plain(said.one("running")),
        offered=tuple(_offered(said)),
        kept_back=said.names("kept"),
        held={_name(name): _plain(whose) for name, whose in said.pairs("held")},
        broken={_plain(name): _plain(state) for name, state in said.pairs("broken")},
        locked=tuple(_plain(f"{name or 'a program'} ({pid})") for pid, name in said.pairs("locked")),
        space=dict(_spaces(said)),
        services=_services(lines) if "needrestart" in asked else None,
        kernels=tuple(map(_plain, said.all("kernel"))),
        reboot=said.maybe("reboot"),
        boot=_boot(said.all("boot")),
        cves=_cves(said) if "debsecan" in asked else None,
        cves_unknown=without_user(said.maybe("unknown") or ""),
    )


class _Said:
    """Lines by their first word."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self._of: dict[str, list[str]] = {}
        for line in lines:
            word, _, rest = line.partition(" ")
            self._of.setdefault(word, []).append(rest.strip())

    def all(self, word: str) -> tuple[str, ...]:
        return tuple(self._of.get(word, ()))

    def one(self, word: str) -> str:
        found = self.all(word)
        if len(found) != 1 or not found[0]:
            raise ValueError(f"its answer has {len(found)} lines of {word}; it should have one")
        return found[0]

    def maybe(self, word: str) -> str | None:
        return _plain(self.all(word)[0]) if self.all(word) else None

    def names(self, word: str) -> tuple[str, ...]:
        """Return package names, without `:architecture`, once each and in order."""
        return tuple(sorted({name for one in self.all(word) if re.fullmatch(_NAME, name := _name(one))}))

    def pairs(self, word: str) -> Iterator[tuple[str, str]]:
        for rest in self.all(word):
            first, _, second = rest.partition(" ")
            yield first, second


def _name(package: str) -> str:
    """Return a package's name, without `:architecture`."""
    return _plain(package.partition(":")[0])


def _offered(said: _Said) -> Iterator[Offered]:
    files = dict(_files(said.lines))
    ways = {name: _WAYS.get(way, "none") for name, way in said.pairs("back")}
    unpacked = dict(_unpacked(said))
    for line in said.lines:
        if not line.startswith("Inst "):
            continue
        match = _INST.fullmatch(line)
        if match is None:
            raise ValueError(f"apt's line can't be read: {_plain(line)}")
        name, before, after, origin, architecture = match.groups()
        file = files.get((name, after, architecture))
        if file is None:
            raise ValueError(f"apt has no URI with a sha256 of {name} {_plain(after)}")
        yield Offered(
            change=PackageChange(package=file, before=before),
            security=bool(_SECURITY.search(origin)),
            origin=_plain(origin),
            back=ways.get(line.split(" ")[1], "none") if before else None,
            unpacked=unpacked.get((name, after, architecture), 0),
        )


def _files(lines: list[str]) -> Iterator[tuple[tuple[str, str, str], Package]]:
    for line in lines:
        if match := _URI.fullmatch(line):
            url, name, version, architecture, size, sha256 = match.groups()
            version = unquote(version)
            package = Package(
                name=name,
                version=version,
                architecture=architecture,
                size=int(size),
                sha256=sha256,
                url=without_user(re.sub("^file:/*", "file:///", url)),
            )
            yield (name, version, architecture), package


def without_user(text: str) -> str:
    """Return the text with no user name and no password in its URLs."""
    return re.sub(r"(?<=://)[^/\s]*@", "", text)


def _unpacked(said: _Said) -> Iterator[tuple[tuple[str, str, str], int]]:
    for rest in said.all("unpacked"):
        words = rest.split(" ")
        if len(words) == 4 and _NUMBER.fullmatch(words[3]):
            name, architecture, version, kib = words
            yield (name, version, architecture), int(kib) * 1024


def _spaces(said: _Said) -> Iterator[tuple[str, Space]]:
    for rest in said.all("space"):
        words = rest.split()
        if len(words) == 3 and _NUMBER.fullmatch(words[1]):
            yield _plain(words[0]), Space(int(words[1]), _plain(words[2]))


def _services(lines: list[str]) -> tuple[str, ...]:
    start = "NEEDRESTART-SVC: "
    return tuple(sorted({_plain(line.removeprefix(start)) for line in lines if line.startswith(start)}))


def _boot(lines: tuple[str, ...]) -> OneBoot | None:
    try:
        return parse_one_boot("\n".join(lines)) if lines else None
    except ValueError:
        return None


def _cves(said: _Said) -> Cves:
    now, later = (frozenset(_vulnerable(said, word)) for word in ("open", "later"))
    return Cves(closed=now - later, left=now & later)


def _vulnerable(said: _Said, word: str) -> Iterator[tuple[str, str]]:
    for cve, package in said.pairs(word):
        if _CVE.fullmatch(cve) and re.fullmatch(_NAME, package):
            yield cve, package


def _plain(text: str) -> str:
    return plain(text, 200)

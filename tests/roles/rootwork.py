"""What root's shell scripts and units do in folders of other users, by their text.

It needs no list of commands that write: only commands that are known to read may name such a folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import product

PARENTS = {
    "RuntimeDirectory": "/run",
    "StateDirectory": "/var/lib",
    "CacheDirectory": "/var/cache",
    "LogsDirectory": "/var/log",
}
READS = {
    "[",
    "awk",
    "case",
    "cat",
    "cmp",
    "curl",
    "cut",
    "echo",
    "grep",
    "head",
    "ls",
    "printf",
    "read",
    "sed",
    "stat",
}
MAKES = {"mkdir", "rm"}
"""They may name the folder itself, because the folder above it is root's."""
PREFIXES = {"!", "do", "elif", "else", "if", "then", "until", "while"}

_AS_USER = re.compile(r"setpriv --reuid=(?!root\b|0\b)(?:[^\n']*?sh -c '[^']*'|[^\n|;&<>]*)")
_SPLIT = re.compile(r"\n|;|\|\|?|&&|(?<![<>])&|[()]|(?<!\S)[{}](?!\S)")
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*$", re.MULTILINE)
_ASSIGNED = re.compile(r"""(?:^|(?<=[\s;]))([a-z_]+)=["']?([^\s"';&|()]*)["']?""", re.MULTILINE)
_OWNER = re.compile(r"""\bchown (?:-\S+ )*(?!root\b|--reference)([a-z_][\w-]*):\S* (?:-- )?["']?([^\s"']+)""")
_INSTALLED = re.compile(
    r"""\binstall -d [^\n;&|]*-o (?!root\b)\S+ [^\n;&|]*?["']?([^\s"';&|]+)["']?(?=\s*(?:$|[\n;&|]))"""
)


def users_folders(unit: str) -> set[str]:
    """Return the folders that systemd gives to the unit's user; none if that is root."""
    settings = [line.partition("=") for line in unit.splitlines()] if _users(unit) else []
    return {f"{PARENTS[key]}/{name}" for key, _, value in settings if key in PARENTS for name in value.split()}


def given_away(script: str) -> set[str]:
    """Return what the script gives to another user, as absolute paths, or variables that only its caller knows."""
    found = [match[2] for text in _plain(script) for match in _OWNER.finditer(text)]
    found += [match[1] for text in _plain(script) for match in _INSTALLED.finditer(text)]
    return {path for path in found if path.startswith(("/", "$"))}


def roots_lines(unit: str) -> str:
    """Return the commands that root runs for this unit, as a script."""
    commands = [line.partition("=")[2] for line in unit.splitlines() if line.startswith("Exec")]
    if _users(unit):
        commands = [command for command in commands if re.match(r"[-@:]*[+!]", command)]
    return "\n".join(command.lstrip("+-@:!").replace("$$", "$").replace("/bin/sh -c '", "\n") for command in commands)


def _users(unit: str) -> bool:
    return re.search(r"^User=(?!root$)", unit, re.MULTILINE) is not None


def trespasses(script: str, folders: Iterable[str]) -> Iterator[str]:
    """Yield each command of root's script that may write, lock, create or change the owner of something in a folder
    of another user, or that follows a link there to a socket."""
    known = {*folders, *given_away(script)}
    below = re.compile("|".join(rf"(?:{re.escape(folder)})(?![\w@.-])" for folder in sorted(known)) or "(?!)")
    for command in _plain(script):
        if below.search(command) and not _only_reads(command, below):
            yield " ".join(command.split())


def _plain(script: str) -> Iterator[str]:
    """Yield the script's simple commands, with the values of its variables. What another user runs is left out."""
    text = _COMMENT.sub("", script.replace("\\\n", " "))
    text = _AS_USER.sub("", text)
    values: dict[str, set[str]] = {}
    for name, value in _ASSIGNED.findall(text):
        if not value.startswith("$") or value[1:2].isalpha():
            values.setdefault(name, set()).add(value)
    for command in _SPLIT.split(text):
        if command.strip():
            yield from _expanded(command, values)


def _expanded(command: str, values: Mapping[str, set[str]]) -> Iterator[str]:
    for _ in range(3):  # a value may name another variable
        names = sorted({name for name in re.findall(r"\$\{?([a-z_]+)\b", command) if name in values})
        if not names:
            break
        if any(len(values[name]) > 1 for name in names):
            for chosen in product(*(sorted(values[name]) for name in names)):
                yield _filled(command, dict(zip(names, chosen, strict=True)))
            return
        command = _filled(command, {name: next(iter(values[name])) for name in names})
    yield command


def _filled(command: str, chosen: Mapping[str, str]) -> str:
    for name, value in chosen.items():
        command = re.sub(rf"\$\{{{name}\}}|\${name}\b", value.replace("\\", r"\\"), command)
    return command


def _only_reads(command: str, below: re.Pattern[str]) -> bool:
    if re.search(rf""">+\|?\s*["']?(?:{below.pattern})""", command):
        return False
    words = command.replace('"', " ").replace("'", " ").split()
    while words and (words[0] in PREFIXES or re.match(r"[A-Za-z_]+=", words[0])):
        words = words[1:]
    if not words:
        return True
    name = words[0].rpartition("/")[2]
    if name == "timeout":
        name = words[2]
    if name == "socat":
        return "su-e=" in command
    if name in MAKES:
        return all(below.fullmatch(word) for word in words if below.match(word))
    return name in READS and "sed -i" not in command

"""Who may sign reports and reviews: NAME.signers, in ssh's format of allowed signers (ssh-keygen(1)).

The file remembers keys that `people` no longer has, with the time of their end: old reports stay verifiable. An
auditor needs only this file and the folder of reports.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from rackwright.errors import FleetError, Problem, UsageError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.public_key import PublicKey, parse_public_key
from rackwright.fleet.sections.people import Person
from rackwright.lifecycle.drill.evidence.folder import put, read
from rackwright.values.tool_mode import kept_beside

NAMESPACES = ("rackwright-drill", "rackwright-drill-review")
_REVIEW = NAMESPACES[1:]
FROM_PEOPLE = "from-people"
"""Comment of a line that `people` made. Lines with another comment are left alone."""
BY_HAND = "added"
_NAME = r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}"
_OPTION = r'(?:namespaces|valid-after|valid-before)="[^"]*"'
_LINE = re.compile(rf"({_NAME})\s+(?:({_OPTION}(?:,{_OPTION})*)\s+)?((?:ssh|ecdsa|sk-ssh|sk-ecdsa)-\S+\s.*)")
_SHOULD = 'should be: NAME namespaces="rackwright-drill,rackwright-drill-review",valid-after="20260101Z" KEY'
_LIMIT = 1 << 20


@dataclass(frozen=True)
class Signer:
    """One key of one person."""

    name: str
    key: PublicKey
    purposes: tuple[str, ...] = NAMESPACES
    """What it may sign: reports, reviews."""
    after: datetime | None = None
    """It may sign from this time on (UTC). None: always."""
    before: datetime | None = None
    """It may sign until this time (UTC). None: without end."""

    def may(self, purpose: str, at: datetime) -> bool:
        """Return whether it may sign for this purpose at this time."""
        begun = self.after is None or self.after <= at
        return purpose in self.purposes and begun and (self.before is None or at < self.before)

    @property
    def by_hand(self) -> bool:
        """Whether its line isn't from `people`."""
        return self.key.comment != FROM_PEOPLE


def signers_path(fleet_file: Path) -> Path:
    """Return the file of signers of this fleet file: NAME.signers for NAME.yml."""
    return kept_beside(fleet_file, f"{fleet_file.stem}.signers")


def signers_in(path: Path) -> tuple[Signer, ...]:
    """Return the signers in the file. Raise FleetError with every line that isn't valid, RackwrightError if it
    can't be read."""
    try:
        lines = read(path, _LIMIT).decode().splitlines()
    except UnicodeDecodeError:
        raise FleetError([Problem(str(path), "is not UTF-8 text")]) from None
    found, problems = [], []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            found.append(_signer(line.strip()))
        except ValueError as error:
            problems.append(Problem(f"{path}:{number}", str(error), _SHOULD))
    if problems:
        raise FleetError(problems)
    return tuple(found)


def signers_of(fleet: Fleet, now: datetime) -> tuple[Signer, ...]:
    """Return the signers of the fleet: those in its file, brought up to date with `people`. Write nothing."""
    path = signers_path(fleet.path)
    known = signers_in(path) if path.is_symlink() or path.exists() else ()
    return tuple(_up_to_date(known, tuple(_of_people(fleet.file.people, now)), now))


def keep_signers(fleet: Fleet, now: datetime) -> tuple[Signer, ...]:
    """Return the signers of the fleet, and write them to its file if they have changed. Raise RackwrightError."""
    signers = signers_of(fleet, now)
    _write(signers_path(fleet.path), signers)
    return signers


def add_signer(fleet: Fleet, name: str, key_text: str, now: datetime) -> tuple[Signer, ...]:
    """Add a key that isn't in `people`, like an auditor's, and return all signers.

    Raise UsageError if name or key isn't valid, or the key is there already.
    """
    if not re.fullmatch(_NAME, name):
        raise UsageError("isn't a signer's name", where=name, should="letters, digits and . _ @ + - only")
    try:
        key = parse_public_key(key_text.strip())
    except ValueError as error:
        raise UsageError(str(error), where=f"the key of {name}") from None
    signers = signers_of(fleet, now)
    if any(one.key.blob == key.blob and (one.before is None or one.before > now) for one in signers):
        raise UsageError("may sign already", where=f"the key of {name}", next="rackwright drill signers show")
    signers = (*signers, Signer(name, replace(key, comment=BY_HAND), after=now))
    _write(signers_path(fleet.path), signers)
    return signers


def lines_of(signers: Iterable[Signer]) -> str:
    """Return the lines of the file, without its header."""
    return "".join(f"{_line(signer)}\n" for signer in signers)


_HEADER = """# Who may sign reports and reviews of drills. rackwright adds and ends keys as `people` changes.
# To end a key that was added by hand, add valid-before="YYYYMMDDZ". Never remove a line: old reports need it.
"""


def _write(path: Path, signers: tuple[Signer, ...]) -> None:
    content = (_HEADER + lines_of(signers)).encode()
    if not path.exists() or read(path, _LIMIT) != content:
        put(path, content)


def _of_people(people: Mapping[str, Person], now: datetime) -> Iterator[Signer]:
    """Yield the signers in `people`: operators sign reports and reviews, auditors only reviews."""
    for name, person in people.items():
        purposes = NAMESPACES if person.role == "operator" else _REVIEW
        ends = datetime.combine(person.until + timedelta(days=1), time(), UTC) if person.until else None
        for line in person.keys:
            key = replace(parse_public_key(line), comment=FROM_PEOPLE)
            yield Signer(name, key, purposes, now, ends)


def _up_to_date(known: tuple[Signer, ...], people: tuple[Signer, ...], now: datetime) -> Iterator[Signer]:
    """Yield what is known, ended where `people` says otherwise, then what is new there."""
    open_ = set()
    for one in known:
        ended = one.before is not None and one.before <= now
        now_is = next((other for other in people if _same(one, other)), None)
        if one.by_hand or ended:
            yield one
        elif now_is and now_is.purposes == one.purposes:
            open_.add(_id(one))
            yield replace(one, before=now_is.before)
        else:
            yield replace(one, before=now)
    yield from (one for one in people if _id(one) not in open_ and (one.before is None or one.before > now))


def _same(one: Signer, other: Signer) -> bool:
    return _id(one) == _id(other)


def _id(one: Signer) -> tuple[str, str]:
    return one.name, one.key.blob


def _line(signer: Signer) -> str:
    options = [f'namespaces="{",".join(signer.purposes)}"']
    options += [
        f'{name}="{moment.astimezone(UTC):%Y%m%d%H%M%S}Z"'
        for name, moment in (("valid-after", signer.after), ("valid-before", signer.before))
        if moment
    ]
    return f"{signer.name} {','.join(options)} {signer.key.line}"


def _signer(line: str) -> Signer:
    """Return the signer of one line. Raise ValueError."""
    match = _LINE.fullmatch(line)
    if not match:
        raise ValueError("isn't a signer")
    pairs = re.findall(r'([a-z-]+)="([^"]*)"', match[2] or "")
    options = dict(pairs)
    if len(options) < len(pairs):
        raise ValueError("has an option twice")
    purposes = tuple(options.get("namespaces", ",".join(NAMESPACES)).split(","))
    if unknown := [name for name in purposes if name not in NAMESPACES]:
        raise ValueError(f"has the unknown namespace {unknown[0]}")
    after, before = (_moment(options.get(name)) for name in ("valid-after", "valid-before"))
    return Signer(match[1], parse_public_key(match[3]), purposes, after, before)


def _moment(text: str | None) -> datetime | None:
    """Return the time of an option, as in ssh-keygen(1): YYYYMMDD or YYYYMMDDHHMM[SS], with or without Z."""
    if text is None:
        return None
    digits = text.removesuffix("Z")
    forms = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
    if not digits.isascii() or not digits.isdigit() or len(digits) not in forms:
        raise ValueError(f"has the time {text}, which should be like 20260101Z")
    return datetime.strptime(digits, forms[len(digits)]).replace(tzinfo=UTC)

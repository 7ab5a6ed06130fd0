"""What a migration plan must have in common with its fleet, with every problem at its line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rackwright.errors import FleetError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.golden.golden_file import read_golden_set
from rackwright.fleet.reading.error_messages import did_you_mean
from rackwright.fleet.reading.nodes import Entries, Findings, Items, Scalar
from rackwright.migrate.features.table import UNKNOWN, waivable
from rackwright.migrate.redact import usable
from rackwright.values.text import enumerated


def check_plan(
    root: Entries, name: str, fleet: Fleet, others: Iterable[Entries], findings: Findings, *, leaving: bool = False
) -> None:
    """Add a problem for each value that doesn't fit the fleet, the migration's name, or the fleet's other plans.

    `leaving`: the fleet may not have the cloud any more.
    """
    _check_name(root, name, findings)
    if not leaving:
        _check_cloud(root, fleet, findings)
    _check_models(root, fleet, findings)
    _check_prices(root, findings)
    _check_fallback(root, findings)
    _check_judge(root, fleet, findings)
    _check_golden(root, findings)
    _check_redact(root, findings)
    _check_recipient(root, findings)
    _check_folder(root, findings)
    _check_own_folder(root, others, findings)
    _check_waivers(root, findings)


def cloud_names(fleet: Fleet, cloud: str) -> tuple[str, ...] | None:
    """Return the names of the cloud's models; None if the fleet file has no such cloud."""
    found = fleet.file.clouds.get(cloud)
    return found.names if found else None


def _check_name(root: Entries, name: str, findings: Findings) -> None:
    said = _scalar(root, "migration")
    if said and said.value != name:
        findings.add(said, f"is '{said.text}'", f"should be '{name}', as in the file's name")


def _check_cloud(root: Entries, fleet: Fleet, findings: Findings) -> None:
    cloud, clouds = _scalar(root, "cloud"), fleet.file.clouds
    if cloud is None:
        return
    if not clouds:
        findings.add(cloud, "the fleet file has no clouds", f"should have {cloud.text} in clouds of {fleet.path}")
    else:
        _known(cloud, clouds, "cloud of the fleet file", findings)


def _check_models(root: Entries, fleet: Fleet, findings: Findings) -> None:
    cloud, known = _scalar(root, "cloud"), fleet.file.routed
    names = cloud_names(fleet, cloud.text) if cloud else None
    for provided in _keys(root, "models"):
        if names is not None:
            _known(provided, names, f"model in clouds.{cloud.text if cloud else ''}.names", findings)
        target = root.get("models", provided.text)
        if isinstance(target, Scalar):
            _known(target, known, "model of the fleet file", findings)


def _check_prices(root: Entries, findings: Findings) -> None:
    prices, priced = root.get("prices"), {key.text for key in _keys(root, "prices")}
    missing = [key.text for key in _keys(root, "models") if key.text not in priced]
    if isinstance(prices, Entries) and missing:
        findings.add(prices, f"has no price of {enumerated(missing)}", "should have one of each model in models")


def _check_fallback(root: Entries, findings: Findings) -> None:
    models, known = root.get("cutover", "fallback", "models"), tuple(key.text for key in _keys(root, "models"))
    for name in models.items if isinstance(models, Items) else ():
        if isinstance(name, Scalar) and known:
            _known(name, known, "model in models of the plan", findings)


def _check_judge(root: Entries, fleet: Fleet, findings: Findings) -> None:
    """A model that only a cloud answers would send prompts and answers to it."""
    if judge := _scalar(root, "score", "judge"):
        _known(judge, fleet.file.models, "model that the fleet itself answers", findings)


def _check_golden(root: Entries, findings: Findings) -> None:
    golden = _scalar(root, "score", "golden")
    if golden is None:
        return
    try:
        read_golden_set(Path(root.file).parent / Path(golden.text).expanduser())
    except RuntimeError:
        # There is no such user; the check of its type says so.
        pass
    except FleetError as error:
        for problem in error.problems:
            findings.more(golden, f"is no golden set: {problem.where}: {problem.line()}")


def _check_redact(root: Entries, findings: Findings) -> None:
    for key in _keys(root, "records", "redact"):
        pattern = root.get("records", "redact", key.text)
        if not isinstance(pattern, Scalar):
            continue
        try:
            usable(key.text, pattern.text)
        except ValueError as error:
            what, _, should = str(error).removeprefix(f"{key.text}: ").partition("; ")
            findings.add(pattern, what, should or None)


def _check_waivers(root: Entries, findings: Findings) -> None:
    for waived in _keys(root, "waivers"):
        if not waived.text.startswith(UNKNOWN):
            _known(waived, waivable(), "feature", findings)


def _check_recipient(root: Entries, findings: Findings) -> None:
    """Its form is checked elsewhere; a letter that was mistyped shows in its checksum alone."""
    recipient = _scalar(root, "records", "recipient")
    if recipient is None or not recipient.text.startswith("age1"):
        return
    import pyrage

    try:
        pyrage.x25519.Recipient.from_str(recipient.text)
    except pyrage.RecipientError:
        findings.add(recipient, "is no public key of age: its checksum is wrong", "copy it again")


def _check_folder(root: Entries, findings: Findings) -> None:
    """Its .gitignore keeps git, and the kit, from all that is in it."""
    folder, place, above = _scalar(root, "records", "folder"), _place(root), Path(root.file).resolve().parent
    if folder and place and (place == above or place in above.parents):
        findings.add(folder, "has the plan itself in it", "should be a folder for nothing but the records")


def _check_own_folder(root: Entries, others: Iterable[Entries], findings: Findings) -> None:
    """Two migrations in one folder would read, and erase, each other's records."""
    folder, place = _scalar(root, "records", "folder"), _place(root)
    for other in others:
        if folder and place and place == _place(other):
            findings.add(folder, f"is also the folder of {other.file}", "should be a folder of its own")


def _place(root: Entries) -> Path | None:
    """Return the folder of a plan's records; None if there is no such user or path, which is said elsewhere."""
    path, folder = Path(root.file), _scalar(root, "records", "folder")
    try:
        written = Path(folder.text).expanduser() if folder else path.stem
        return (path.resolve().parent / written).resolve()
    except (RuntimeError, ValueError, OSError):
        return None


def _known(node: Scalar, names: Iterable[str], what: str, findings: Findings) -> None:
    known = tuple(names)
    if node.value is not None and node.text not in known:
        should = did_you_mean(node.text, known) or f"should be one of {enumerated(known)}"
        findings.add(node, f"'{node.text}' is no {what}", should)


def _scalar(root: Entries, *keys: str) -> Scalar | None:
    node = root.get(*keys)
    return node if isinstance(node, Scalar) and node.value is not None else None


def _keys(root: Entries, *keys: str) -> tuple[Scalar, ...]:
    node = root.get(*keys)
    return tuple(entry.key for entry in node.entries.values()) if isinstance(node, Entries) else ()

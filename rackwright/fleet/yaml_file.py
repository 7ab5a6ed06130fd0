"""YAML files that rackwright writes next to the fleet file: read with line numbers, written atomically."""

from __future__ import annotations

import os
import re
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from rackwright.errors import FleetError, Problem, RackwrightError

LIMIT = 32 * 2**20
"""In bytes; a lock with 10,000 files has about three million."""
BRACKETS = 1000
"""rackwright writes block style, with brackets only in globs and empty lists; nested brackets can stall a parser."""

Model = TypeVar("Model", bound=BaseModel)


def read_stored(path: Path, kind: str, model: type[Model], *, restore: str) -> Model:
    """Return a file that starts with `format: <kind>/1` as `model`; unknown keys are ignored.

    Raise FleetError with every problem and its line if it can't be read, has a newer format or is malformed.
    `restore` is the next command in these errors.
    """
    text = _read(path)
    data = _load(path, text, restore)
    _check_format(path, data.get("format"), kind)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise FleetError(_problems(path, text, error, restore)) from None


def write_stored(path: Path, header: str, model: BaseModel) -> None:
    """Write the model to the file, sorted, below a comment (mode 0644); on an error the file is unchanged.

    Raise RackwrightError if it can't be written.
    """
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    data = model.model_dump(mode="json", exclude_none=True)
    stream = StringIO()
    for line in header.splitlines():
        stream.write(f"# {line}\n")
    yaml.dump({"format": data.pop("format"), **_sorted(data)}, stream)
    try:
        replace_file(path, stream.getvalue().encode(), mode=0o644)
    except OSError as error:
        raise RackwrightError(f"can't be written: {error.strerror}", where=str(path)) from None


def replace_file(path: Path, content: bytes, *, mode: int) -> None:
    """Replace the file atomically with this content and mode, and sync it. Raise OSError; then it is unchanged."""
    # tempfile imports a dozen modules, and most commands write nothing.
    import tempfile

    path = path.resolve()
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(stream.fileno(), mode)
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _read(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(LIMIT + 1)
    except OSError as error:
        raise FleetError([Problem(str(path), f"can't be read: {error.strerror}")]) from None
    if len(content) > LIMIT:
        raise FleetError(
            [Problem(str(path), f"is larger than {LIMIT // 2**20} MiB", "is not a file that rackwright wrote")]
        )
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise FleetError([Problem(f"{path}:{line}", "is not UTF-8 text")]) from None


def _load(path: Path, text: str, restore: str) -> dict[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    if text.count("[") + text.count("{") > BRACKETS:
        raise FleetError([Problem(f"{path}:1", "is not a file that rackwright wrote", next=restore)])
    try:
        data = YAML(typ="safe").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise FleetError([Problem(where, f"is not valid YAML: {error.problem}", next=restore)]) from None
    except (YAMLError, RecursionError, ValueError):
        raise FleetError([Problem(str(path), "is not valid YAML", next=restore)]) from None
    if not isinstance(data, dict) or _has_alias(data):
        raise FleetError([Problem(f"{path}:1", "is not a file that rackwright wrote", next=restore)])
    return data


def _has_alias(data: object) -> bool:
    """Return whether a part appears in two places: only YAML aliases cause that, and they can grow without limit."""
    seen: set[int] = set()
    waiting = [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict | list):
            if id(value) in seen:
                return True
            seen.add(id(value))
            waiting += value.values() if isinstance(value, dict) else value
    return False


def _check_format(path: Path, found: object, kind: str) -> None:
    match = re.fullmatch(rf"{kind}/(\d{{1,6}})", found) if isinstance(found, str) else None
    if not match:
        raise FleetError([Problem(f"{path}:1", f"has no `format: {kind}/1`", "is it another file?")])
    if int(match[1]) > 1:
        what = f"has format {found}, but this rackwright knows only {kind}/1"
        raise FleetError([Problem(f"{path}:1", what, next="update rackwright to the version that wrote it")])


def _problems(path: Path, text: str, error: ValidationError, restore: str) -> list[Problem]:
    from ruamel.yaml import YAML

    root = YAML().compose(text)
    problems = []
    for detail in error.errors(include_input=False, include_url=False):
        line = _line(root, detail["loc"])
        problems.append(Problem(f"{path}:{line} {'.'.join(map(str, detail['loc']))}", detail["msg"], next=restore))
    return problems


def _line(node: Any, location: tuple[int | str, ...]) -> int:
    """Given a YAML node tree and pydantic's location, return the line (from 1) of the nearest existing part."""
    line = int(node.start_mark.line) + 1
    for step in location:
        if isinstance(step, int) and isinstance(node.value, list) and step < len(node.value):
            node = node.value[step]
        else:
            pairs = node.value if isinstance(node.value, list) else []
            found = [pair for pair in pairs if isinstance(pair, tuple) and pair[0].value == step]
            if not found:
                break
            line, node = int(found[0][0].start_mark.line) + 1, found[0][1]
            continue
        line = int(node.start_mark.line) + 1
    return line

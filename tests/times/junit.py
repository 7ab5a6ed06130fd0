"""Junit files, as pytest writes them: the tests that ran, and when. Files without our properties lack the workers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree

from tests.times.properties import PHASE, SPENT, WORKER


@dataclass(frozen=True)
class Case:
    file: str
    name: str
    seconds: float
    worker: str = ""
    phases: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Start and end of setup, call and teardown."""
    spent: dict[str, float] = field(default_factory=dict)
    """Seconds by kind."""

    @property
    def setup_seconds(self) -> float:
        start, end = self.phases.get("setup", (0.0, 0.0))
        return end - start


@dataclass(frozen=True)
class Suite:
    name: str
    began: float
    seconds: float
    cases: tuple[Case, ...]


def read(path: Path) -> Suite:
    """Return the run that this file is about."""
    suite = ElementTree.parse(path).getroot().find("testsuite")  # noqa: S314  pytest wrote it on this machine.
    assert suite is not None, f"{path} has no test suite"
    # A test that fails in its call and in its teardown is listed twice; the second entry has all properties.
    cases = {(case.file, case.name): case for case in map(_case, suite.iter("testcase"))}
    began = datetime.fromisoformat(suite.attrib["timestamp"]).timestamp()
    return Suite(path.stem, began, float(suite.attrib["time"]), tuple(cases.values()))


def _case(element: ElementTree.Element) -> Case:
    properties = {entry.attrib["name"]: entry.attrib["value"] for entry in element.iter("property")}
    phases = {phase: _span(value) for phase, value in _under(PHASE, properties).items()}
    return Case(
        file=_file(element.attrib["classname"]),
        name=element.attrib["name"],
        seconds=sum(end - start for start, end in phases.values()) or float(element.attrib["time"]),
        worker=properties.get(WORKER, ""),
        phases=phases,
        spent={kind: float(seconds) for kind, seconds in _under(SPENT, properties).items()},
    )


def _under(prefix: str, properties: dict[str, str]) -> dict[str, str]:
    return {name.removeprefix(prefix): value for name, value in properties.items() if name.startswith(prefix)}


def _span(value: str) -> tuple[float, float]:
    start, end = map(float, value.split())
    return start, end


def _file(classname: str) -> str:
    """Return `tests/lab/test_ssh.py` for `tests.lab.test_ssh.TestClass`."""
    names = classname.split(".")
    until = next((at for at, name in enumerate(names, 1) if name.startswith("test_")), len(names))
    return "/".join(names[:until]) + ".py"

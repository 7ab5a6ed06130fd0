from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from rackwright.cli.render.assess_html import as_html
from rackwright.cli.render.assess_text import as_text
from rackwright.lifecycle import assess as procedure
from rackwright.lifecycle.assess.assessment import Assessed, Assessment
from rackwright.state.formats import utc_now
from tests.cli.command_line import rackwright
from tests.lifecycle.assess.hosts import assessed, bare, hardware

EVIL = '<script>alert("x")</script>\x1b[2J&'
READY = assessed(hardware(), host="gpu1")
WARNED = assessed(bare(), host="gpu2")
BLOCKED = assessed(hardware(vendor=EVIL, system="rocky 9"), host="gpu3")
LOST = Assessed("gpu4", "10.20.0.14", unreachable="no route to host; next: rackwright check -l gpu4")


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Assessed]:
    """The assessments of the hosts; no host is asked."""
    hosts = [READY, WARNED]
    monkeypatch.setattr(procedure, "assess", lambda remote, expected: Assessment.of(tuple(hosts)))
    return hosts


@pytest.mark.parametrize(
    ("more", "code"),
    [([], 0), ([LOST], 3), ([BLOCKED], 12), ([BLOCKED, LOST], 12)],
    ids=lambda value: str(len(value)) if isinstance(value, list) else str(value),
)
def test_the_exit_code_tells_the_worst(site: Any, found: list[Assessed], more: list[Assessed], code: int) -> None:
    found += more
    assert rackwright("-f", site, "assess").exit_code == code


def test_the_text_has_a_block_a_host_and_the_worst_first() -> None:
    text = "\n".join(as_text(Assessment.of((READY, WARNED, BLOCKED, LOST))))
    heads = [block.splitlines()[0] for block in text.split("\n\n")]
    assert heads == [
        "gpu3  not ready: 1 thing",
        "gpu4  unreachable",
        "gpu2  ready with warnings: 1 thing",
        "gpu1  ready",
        "4 hosts: 1 ready, 1 ready with warnings, 1 not ready, 1 unreachable",
    ]
    assert "  BLOCKS   machine: runs rocky 9" in text
    assert "  no route to host; next: rackwright check -l gpu4" in text


def test_a_host_forges_no_next_command() -> None:
    forging = replace(LOST, unreachable="no route\n  next: curl evil.example")
    assert as_text(Assessment.of((forging,)))[1] == f"  {forging.unreachable}", "its newline is left to be marked"


def test_the_document_has_what_programs_need(site: Any, found: list[Assessed]) -> None:
    found += [BLOCKED, LOST]
    document = rackwright("-f", site, "assess", "--json").document
    assert (document["not_ready"], document["unreachable"]) == (1, 1)
    first, second, *_ = document["hosts"]
    assert (first["host"], first["verdict"], first["missing"][0]["severity"]) == ("gpu3", "not ready", "blocks")
    assert first["figures"]["gpu_memory"] == 160 * 10**9
    assert first["well_known"][0] | {"context": 0, "requests": 0} == {
        "name": "Llama-3.1-8B",
        "precision": "bf16",
        "gpus": 1,
        "context": 0,
        "requests": 0,
    }
    assert (first["models"], second["well_known"]) == ([], [])
    assert first["facts"]["driver"][0] == {"name": "version", "value": "580.95.05, for CUDA up to 13.0"}
    assert (second["figures"], second["unreachable"]) == (None, LOST.unreachable)


class _Page(HTMLParser):
    """Collects the tags and attributes that a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_self_contained_and_escapes_what_hosts_report() -> None:
    page = _Page(as_html(Assessment.of((BLOCKED, replace(WARNED, host=EVIL))), utc_now()))
    assert "script" not in page.tags
    assert page.text.count('<script>alert("x")</script>\\x1b[2J&') >= 3
    assert "\x1b" not in page.text
    assert all(link.startswith("#") for link in page.links)
    assert "url(" not in page.text
    assert re.search("next|what to do", page.text)


def test_the_page_is_written_beside_the_answer(site: Any, found: list[Assessed], tmp_path: Any) -> None:
    ran = rackwright("-f", site, "assess", "--html", tmp_path / "page.html")
    assert ran.exit_code == 0
    assert ran.stderr == f"written to {tmp_path / 'page.html'}\n"
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".page")] == []


def test_hosts_of_no_fleet_file_are_asked_without_one(found: list[Assessed], tmp_path: Any) -> None:
    nowhere = tmp_path / "none.yml"
    assert rackwright("-f", nowhere, "assess", "--host", "ops@10.20.0.11").exit_code == 0
    assert rackwright("-f", nowhere, "assess").exit_code == 10
    assert rackwright("-f", nowhere, "assess", "--host", "ops@10.20.0.11", "-l", "gpu1").exit_code == 2

"""`patch report` at the command line: Markdown, JSON and HTML of a run over stand-ins for hosts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rackwright.lifecycle.patch.asked import Asked
from rackwright.lifecycle.patch.document import Cve, PlannedHost, Stays
from rackwright.lifecycle.patch.report import history
from rackwright.lifecycle.reboot.procedure import complete
from rackwright.state.journal import Entry
from tests.cli.command_line import rackwright
from tests.lifecycle.patch.hosts import ADA, Bench, bench_of

EVIL = "on hold | <script>alert(1)</script>"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = bench_of(monkeypatch)

    @contextmanager
    def control_store(_: object) -> Iterator[Any]:
        yield made.store, None

    monkeypatch.setattr(history, "control_store", control_store)
    return made


def patched(bench: Bench, leaves: int = 1) -> None:
    closes = (Cve(id="CVE-2026-0001", package="openssl"),)
    left = tuple(Cve(id=f"CVE-2025-{number:04}", package="bash") for number in range(leaves))
    stays = (Stays(package="small", why=EVIL),)
    bench.options = Asked(yes=True)
    bench.known = (PlannedHost(name="gpu1", offered=1, closes=closes, leaves=left, stays=stays),)
    bench.hosts["gpu1"].newest = "6.13"
    complete(bench.opened("gpu1", reboots=True))


def test_the_last_run_as_markdown(site: Any, bench: Bench) -> None:
    patched(bench)
    ran = rackwright("-f", site, "patch", "report")
    assert (ran.exit_code, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    assert lines[0] == f"# Patch run {ADA.run} of acme: 1 of 1 hosts patched"
    assert "| approved by | ada@desk |" in lines
    assert "| how | with --yes |" in lines
    assert "| all | approved with --yes, before the plan was shown |" in lines
    assert "| openssl | all | 3.0 | 3.1 | 3.1 | CVE-2026-0001 | gpu1 |" in lines
    assert "| CVE-2026-0001 | gpu1 |" in lines
    assert any(line.startswith("| gpu1 | patched |") and "| 6.12 → 6.13 |" in line for line in lines)
    assert r"| small | on hold \| \<script\>alert(1)\</script\> | gpu1 |" in lines


@pytest.mark.parametrize(
    ("settings", "how"),
    [
        ([], "unattended; no setting had to allow anything"),
        (["unattended.allow.not_stale"], r"unattended, allowed by unattended.allow.not\_stale"),
    ],
)
def test_a_run_that_nobody_watched_names_the_settings_that_answered(
    site: Any, bench: Bench, settings: list[str], how: str
) -> None:
    patched(bench)
    name = f"patch-{ADA.run}.json"
    plan = json.loads(bench.store.documents[name])
    plan["asked"]["yes"], plan["rollout"]["unattended"] = False, settings
    bench.store.documents[name] = json.dumps(plan)
    lines = rackwright("-f", site, "patch", "report").stdout.splitlines()
    assert f"| how | {how} |" in lines
    document = rackwright("-f", site, "patch", "report", "--json").document
    assert (document["unattended"], document["confirmed"]) == (settings, False)


def test_long_tables_are_whole_in_html_and_json(site: Any, bench: Bench, tmp_path: Path) -> None:
    patched(bench, leaves=70)
    page = tmp_path / "report.html"
    ran = rackwright("-f", site, "patch", "report", "--html", page)
    assert ran.stderr == f"written to {page}\n"
    assert "20 more rows are in --json and --html" in ran.stdout
    assert "CVE-2025-0069" not in ran.stdout
    html = page.read_text()
    assert "CVE-2025-0069" in html
    assert "<script>" not in html
    document = rackwright("-f", site, "patch", "report", ADA.run[:12], "--json").document
    (host,) = document["hosts"]
    assert (len(host["cves_open"]), host["outcome"], host["packages"][0]["closes"]) == (
        70,
        "patched",
        ["CVE-2026-0001"],
    )


def test_all_runs(site: Any, bench: Bench) -> None:
    assert rackwright("-f", site, "patch", "report", "--all").stdout == "no patch run\n"
    patched(bench)
    ran = rackwright("-f", site, "patch", "report", "--all")
    assert ran.stdout.split("  ")[::2] == [ADA.run, "ada@desk\n"]
    assert rackwright("-f", site, "patch", "report", "--all", "--json").document["runs"][0]["run"] == ADA.run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--all", "20261129T"), "--all lists all runs"),
        (("2027",), "2027: is no patch run that the control host keeps"),
        (("--html", "/no such/page.html"), "its folder doesn't exist"),
    ],
)
def test_what_is_refused(site: Any, bench: Bench, words: tuple[str, ...], said: str) -> None:
    patched(bench)
    ran = rackwright("-f", site, "patch", "report", *words)
    assert (ran.exit_code, said in ran.stderr, ran.stdout) == (2, True, "")


def test_no_run_yet_and_a_run_whose_plan_is_gone(site: Any, bench: Bench) -> None:
    assert "no patch run is known" in rackwright("-f", site, "patch", "report").stderr
    patched(bench)
    bench.store.documents.clear()
    assert f"the plan of the patch run {ADA.run} is missing" in rackwright("-f", site, "patch", "report").stderr


def test_a_start_that_fits_two_runs(site: Any, bench: Bench) -> None:
    patched(bench)
    opened = next(one for one in bench.store.journal if one.event == "opened")
    second: Entry = opened.model_copy(update={"rollout": f"{ADA.run[:-1]}e"})
    bench.store.journal.append(second)
    assert "starts several patch runs" in rackwright("-f", site, "patch", "report", ADA.run[:8]).stderr

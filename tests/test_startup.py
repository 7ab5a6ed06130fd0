from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "cryptography",
    "gevent",
    "huggingface_hub",
    "jinja2",
    "paramiko",
    "pydantic",
    "pyinfra",
    "requests",
    "rich",
    "ruamel",
)
REPORT_HEAVY = ("gevent", "paramiko", "pyinfra", "requests", "rich")


def imported(code: str) -> set[str]:
    """Return the top names of all modules that a fresh Python imported for the code."""
    script = f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stderr.split()}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["nosuch"], ["check", "--help"]])
def test_help_imports_nothing_heavy(arguments):
    modules = imported(f"from rackwright.__main__ import main; main({arguments!r})")
    assert "click" in modules
    assert not modules & set(HEAVY)


def test_help_imports_no_command():
    script = "from rackwright.__main__ import main; main(['--help'])"
    code = f"import sys\ntry:\n    {script}\nexcept SystemExit:\n    pass\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours = {name for name in done.stderr.split() if name.startswith("rackwright.cli.")}
    assert ours == {"rackwright.cli.context", "rackwright.cli.options", "rackwright.cli.outcome"}


@pytest.mark.parametrize("loaded", [False, True])
def test_pydantics_search_for_plugins_is_a_stand_in_and_nobody_elses(loaded):
    lines = [
        "import os, sys",
        # With a name of one plugin in it the loader looks for all others.
        "os.environ['PYDANTIC_DISABLE_PLUGINS'] = 'some'",
        "import importlib.metadata" if loaded else "",
        "from rackwright.fleet.sections.hosts import Ssh",
        "Ssh.model_validate({})",
        f"assert ('importlib.metadata' in sys.modules) is {loaded}",
        "from importlib.metadata import version",
        "assert version('pydantic')",
    ]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)


@pytest.mark.parametrize("module", ["report", "state.store", "run"])
def test_reports_and_state_import_nothing_heavy(module):
    assert not imported(f"import rackwright.{module}") & set(REPORT_HEAVY)


@pytest.mark.parametrize("module", ["verdict", "verdict.golden_check", "fleet.golden_file", "report.verdict_text"])
def test_statistics_and_schemas_are_imported_where_they_are_used(module):
    assert not imported(f"import rackwright.{module}") & {"jsonschema", "numpy", "referencing", "regex", "scipy"}

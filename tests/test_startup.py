from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from rackwright.lifecycle.session.session import PLAN_MODULES
from tests.needless import NEEDLESS, ONLY_FOR_CHANGES

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
# The imports of an apply with an empty plan; the parts that would ask hosts are replaced.
SATISFIED = """
from contextlib import nullcontext
from types import SimpleNamespace
from rackwright.lifecycle.apply import procedure as apply
from rackwright.lifecycle.apply.stages import Options
from rackwright.run import Run
nothing = SimpleNamespace(empty=True, run=Run(), first_snapshots=(), surveyed=SimpleNamespace(control=None))
class Any:
    hosts = {}
    def __getattr__(self, name): return None if name == "backup" else Any()
    def __call__(self, *_, **__): return Any()
for name in ("compared", "remember", "refuse_stale_checkout", "refuse_moved", "renew_ended"):
    setattr(apply, name, Any())
apply.leased, apply.plan = lambda *_: nullcontext(), lambda *_, **__: nothing
assert apply.apply(Any(), Options(), Any(), Any()).run == Run()
"""


def modules_after(code: str) -> set[str]:
    """Return all modules that a fresh Python imports for the code."""
    script = (
        f"import sys\ntry:\n    exec({code!r})\nexcept SystemExit:\n    pass\nprint(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def imported(code: str) -> set[str]:
    """Return the modules' top-level names."""
    return {name.partition(".")[0] for name in modules_after(code)}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["nosuch"], ["check", "--help"]])
def test_help_imports_nothing_heavy(arguments):
    modules = imported(f"from rackwright.__main__ import main; main({arguments!r})")
    assert "click" in modules
    assert not modules & set(HEAVY)


def test_help_imports_no_command():
    modules = modules_after("from rackwright.__main__ import main; main(['--help'])")
    ours = {name.removeprefix("rackwright.cli.") for name in modules if name.startswith("rackwright.cli.")}
    assert ours == {"common", "common.context", "common.names", "common.options", "common.outcome"}


@pytest.mark.parametrize("loaded", [False, True])
def test_pydantics_search_for_plugins_is_a_stand_in_and_nobody_elses(loaded):
    lines = [
        "import os, sys",
        # If the name of one plugin is in it, the loader looks for all others.
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


@pytest.mark.parametrize(
    "module", ["verdict", "verdict.golden_check", "fleet.golden.golden_file", "report.verdict_text"]
)
def test_statistics_and_schemas_are_imported_where_they_are_used(module):
    assert not imported(f"import rackwright.{module}") & {"jsonschema", "numpy", "referencing", "regex", "scipy"}


@pytest.mark.parametrize("module", ["apply.plan", "apply.procedure", "session.survey", "status"])
def test_hosts_are_asked_before_anything_heavy_is_imported(module):
    """pyinfra and paramiko are imported while the hosts prepare their answers; jinja2 by the code that reads them."""
    assert not imported(f"import rackwright.lifecycle.{module}") & (set(HEAVY) - {"pydantic"})


def test_an_apply_imports_what_changes_hosts_only_when_something_is_to_change():
    modules = modules_after(SATISFIED)
    assert "rackwright.lifecycle.apply.procedure" in modules
    assert not modules & NEEDLESS


@pytest.mark.parametrize("name", ONLY_FOR_CHANGES)
def test_what_only_changes_need_is_there(name):
    assert importlib.util.find_spec(f"rackwright.lifecycle.{name}")


@pytest.mark.parametrize("module", PLAN_MODULES)
def test_each_module_that_a_plan_imports_early_exists(module):
    assert importlib.util.find_spec(module)

"""Imports go one way."""

from __future__ import annotations

import re
from graphlib import TopologicalSorter

from tests.import_graph import MODULES, imported_by, imports, target

ORDER = (
    r"rackwright|rackwright\.errors|rackwright\._fast_imports",
    r"rackwright\.(cache|own_wheel|values|route|ports|package_set|launch|client_apis|stopping|terminal)",
    r"rackwright\.hardware",
    r"rackwright\.shape",
    r"rackwright\.roles\.\w+\.(settings|apis|log_lines)",
    r"rackwright\.fleet\.(sections|public_key|source)",
    r"rackwright\.fleet",
    r"rackwright\.resolve",
    r"rackwright\.fit",
    r"rackwright\.verdict",
    r"rackwright\.migrate",
    r"rackwright\.operations",
    r"rackwright\.roles",
    r"rackwright\.deploys",
    r"rackwright\.run",
    r"rackwright\.remote",
    r"rackwright\.runner",
    r"rackwright\.state",
    r"rackwright\.gateway",
    r"rackwright\.report",
    r"rackwright\.lifecycle",
    r"rackwright\.cli|rackwright\.__main__",
)
"""From the lowest layer to the highest; the first that a module's name fits is its layer."""
MOST_MODULES = 27
"""Modules directly in one package. With more, a reader loses track."""
LAB = ("rackwright", "rackwright.errors", "rackwright.terminal")
WITHOUT_PYINFRA = re.compile(
    r"rackwright\.(errors|cache|own_wheel|values|route|ports|package_set|launch|client_apis|stopping|terminal|hardware|shape|fleet|resolve|fit|verdict|migrate|run|report|state|lab|roles\.\w+\.(settings|apis|log_lines))\b"
)


def layer(module: str) -> int | None:
    for number, pattern in enumerate(ORDER):
        if re.fullmatch(pattern, module) or (number and re.match(rf"(?:{pattern})(?:\.|$)", module)):
            return number
    return None


def of(*packages: str) -> list[str]:
    """Return the modules whose names begin like one of these."""
    return [module for module in MODULES if module.startswith(packages)]


def test_a_module_imports_only_from_its_own_layer_and_below():
    for module in (module for module in MODULES if not module.startswith("rackwright.lab")):
        own = layer(module)
        assert own is not None, f"{module} stands in no layer"
        for imported in map(target, imported_by(module)):
            if imported.startswith("rackwright."):
                below = layer(imported)
                assert imported == "rackwright.lab" or imported.startswith("rackwright.lab.") or below is not None
                assert below is None or below <= own, f"{module} imports {imported}, which stands above it"


def test_no_module_imports_itself_by_way_of_others():
    TopologicalSorter({module: set(map(target, imported_by(module))) - {module} for module in MODULES}).prepare()


def test_the_fleet_never_uses_the_network():
    network = ("requests", "urllib.request", "urllib3", "http", "socket", "huggingface_hub")
    modules = of("rackwright.fleet")
    assert modules
    found = [(module, name) for module in modules for name in imported_by(module) if name.startswith(network)]
    assert not found


def test_a_package_stays_small():
    for package in {path.parent for path in MODULES.values()}:
        modules = [path.stem for path in package.glob("*.py") if path.stem != "__init__"]
        assert len(modules) <= MOST_MODULES, f"{package} has {len(modules)} modules: subpackages by topic"


def test_no_two_modules_have_names_that_differ_by_an_ending():
    """Roles have separate modules. `models` is a key and `model` a command; ssh and sshd are programs."""
    paths = [path for module, path in MODULES.items() if not re.match(r"rackwright\.(roles|deploys)\b", module)]
    names = {path.parent.name if path.stem == "__init__" else path.stem for path in paths}
    alike = {(one, other) for one in names for other in names if re.fullmatch(f"{one}(s|es|d|ed|r|er|ing)", other)}
    assert alike == {("model", "models"), ("ssh", "sshd")}


def test_the_lab_knows_only_errors_values_and_the_terminal():
    modules = of("rackwright.lab")
    assert modules
    for module in modules:
        for imported in map(target, imported_by(module)):
            if imported.startswith("rackwright"):
                assert imported in LAB or imported.startswith(("rackwright.lab", "rackwright.values")), (
                    f"{module} imports {imported}"
                )


def test_the_lab_is_used_by_its_command_alone():
    for module in MODULES:
        if not module.startswith(("rackwright.lab", "rackwright.cli.lab")):
            assert not [name for name in imported_by(module) if name.startswith("rackwright.lab")], module


def test_only_remote_imports_paramiko_and_the_describing_layers_no_pyinfra():
    for module in MODULES:
        tops = {imported.partition(".")[0] for imported in imported_by(module)}
        if not module.startswith("rackwright.remote"):
            assert "paramiko" not in tops, module
        if WITHOUT_PYINFRA.match(module):
            assert "pyinfra" not in tops, module


def test_a_role_knows_no_fleet_and_no_other_roles_doings():
    modules = [module for module in MODULES if ".roles." in module]
    assert modules
    for module in modules:
        role = module.split(".")[2]
        for imported in map(target, imported_by(module)):
            assert not imported.startswith("rackwright.fleet"), f"{module} imports {imported}"
            other = re.match(r"rackwright\.roles\.(\w+)\.role\b", imported)
            assert other is None or other[1] == role, f"{module} imports {imported}"


def test_a_deploy_calls_roles_and_no_operation_of_its_own():
    modules = of("rackwright.deploys.")
    assert modules
    for module in modules:
        for imported in imported_by(module):
            assert not imported.startswith(("pyinfra.operations", "rackwright.operations")), (
                f"{module} imports {imported}"
            )


def test_the_check_sees_imports_in_functions_and_relative_ones():
    source = "def late():\n    from rackwright.cli import main\nfrom ..values.text import Name\n"
    found = set(imports(f"{source}from . import fleet\nimport rackwright.run", "rackwright.fleet.load"))
    assert found == {"rackwright.cli.main", "rackwright.values.text.Name", "rackwright.fleet.fleet", "rackwright.run"}


def test_layers_are_told_apart():
    names = ("rackwright.errors", "rackwright.values", "rackwright.roles.vllm.settings", "rackwright.fleet.fleet")
    names += ("rackwright.roles.vllm.role", "rackwright.run", "rackwright.runner", "rackwright.cli.init")
    numbers = [layer(name) for name in names]
    assert None not in numbers
    assert numbers == sorted(numbers)
    assert layer("rackwright.roles.vllm.settings") < layer("rackwright.fleet") < layer("rackwright.roles.vllm.role")
    assert layer("rackwright.unheard_of") is None

"""The mutation tester's own tables and operators."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from cosmic_ray.mutating import mutate_code

from benchmarks.mutants.explained import explained
from benchmarks.mutants.named import NAMED, named
from benchmarks.mutants.operators import DropOperand, NegateFilter, RemoveStatement, SwapFunction
from benchmarks.mutants.python import python_mutants
from benchmarks.mutants.result import missed, read, survivors
from benchmarks.mutants.sample import sample
from benchmarks.mutants.shell import shell_mutants
from benchmarks.mutants.targets import TARGETS

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_each_target_names_files_that_are_there(target):
    for path in (*target.modules, *target.tests):
        assert (ROOT / path).is_file(), path


def test_each_named_mutant_is_one_of_a_target():
    assert sum(len(named(ROOT, target)) for target in TARGETS) == len(NAMED)


def test_the_sample_is_the_same_each_time_and_another_with_another_seed():
    (target,) = [target for target in TARGETS if target.name == "drains"]
    first = sample(ROOT, target)
    assert len(first) == target.mutants
    assert first == sample(ROOT, target)
    assert first != sample(ROOT, target, seed=1)


@pytest.mark.parametrize("operator", [RemoveStatement, DropOperand, NegateFilter, SwapFunction])
def test_each_operator_does_what_its_examples_say(operator):
    for example in operator.examples():
        found = mutate_code(example.pre_mutation_code, operator(), example.occurrence)
        assert found.split() == example.post_mutation_code.split()


def test_a_script_in_a_string_is_mutated_as_shell_and_a_docstring_is_not():
    code = '"""Says\nsync it all\n"""\nSCRIPT = """set -eu\nsync a; mv a b\n"""\n'
    found = {one.becomes for one in python_mutants("m.py", code) if one.line == 5}
    assert found == {"", "mv a b", ":; mv a b"}
    assert not [one for one in python_mutants("m.py", code) if one.line < 4]


def test_each_shell_mutant_differs_in_one_line_of_those_asked_for():
    lines = ["[ -f a ] || exit 1\n", "umask 077\n", "if [ 1 -lt 2 ]; then\n", "fi\n"]
    found = [(one.line, one.becomes) for one in shell_mutants("m.sh", lines, range(1, 4))]
    assert found == [(2, ""), (2, "umask 022"), (3, "if [ 1 -le 2 ]; then")]


def test_each_explanation_is_of_a_line_that_is_there_and_says_why():
    for (module, was, _), reason in explained().items():
        lines = {line.strip() for line in (ROOT / module).read_text().splitlines()}
        assert set(was.splitlines()) <= lines, f"{module} has no longer: {was}"
        assert re.match(r"equivalent: .|lab: tests/\S+\.py::\w+: .", reason), reason


def test_each_lab_test_that_an_explanation_names_is_there():
    for reason in explained().values():
        if reason.startswith("lab: "):
            path, _, name = reason.removeprefix("lab: ").split(": ")[0].partition("::")
            names = {node.name for node in ast.walk(ast.parse((ROOT / path).read_text())) if hasattr(node, "name")}
            assert name in names, reason


def test_the_recorded_run_met_its_target_and_each_survivor_is_explained():
    results = read()
    assert set(results) == {target.name for target in TARGETS}
    assert not missed(results)
    assert {(row["module"], row["was"], row["becomes"]) for row in survivors(results)} == set(explained())

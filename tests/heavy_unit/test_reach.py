"""What touches a heavy test in this repository."""

from __future__ import annotations

import pytest

from tests.heavy.need.files import heavy_files
from tests.heavy.need.reach import COMMON, touching
from tests.import_graph import MODULES, TESTS


def touched(*changed: str) -> set[str]:
    return {file.name.removeprefix("test_").removesuffix(".py") for file in heavy_files() if touching(file, changed)}


ALL = {file.name.removeprefix("test_").removesuffix(".py") for file in heavy_files()}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        pytest.param("roles/vip/templates/check.sh.j2", {"month", "vip"}, id="a role's template"),
        pytest.param("roles/vip/templates/gone.j2", {"month", "vip"}, id="a template that was removed"),
        pytest.param("roles/vip/gone.py", {"month", "vip"}, id="a module that was removed"),
        pytest.param(
            "rackwright/operations/driver_install.sh",
            {"driver", "driver_builds", "driver_vm"},
            id="a script that is covered",
        ),
        pytest.param("rackwright/verdict/judge.py", {"canary"}, id="a covered module"),
        pytest.param(
            "rackwright/lifecycle/bench/guidellm.txt",
            {"bench", "gateways", "migrate"},
            id="a list of wheels in the folder of a covered module",
        ),
        pytest.param("tests/heavy/vllm_cache.py", {"vllm_cache"}, id="a program that a test runs"),
        pytest.param("tests/heavy/deeper.py", {"canary", "migrate"}, id="a helper of a helper"),
        pytest.param("tests/heavy/test_vip.py", {"vip"}, id="the test itself"),
        pytest.param(
            "tests/lab/load/__main__.py",
            {"attacks", "canary", "control", "month", "moves", "patch", "proof", "reboot", "under_load", "vip"},
            id="a program of a helper",
        ),
        pytest.param("tests/hardware/written/blackwell.xml", {"gpus", "vllm_states"}, id="what a helper reads"),
        pytest.param("rackwright/lab/vm/disk.py", ALL, id="a fixture of the folder is everybody's"),
        pytest.param("rackwright/lab/paths.py", ALL, id="the lab"),
        pytest.param("rackwright/errors.py", set(), id="what everything imports"),
        pytest.param("rackwright/operations/filesystem/fetch.sh", set(), id="a script that everything uses"),
        pytest.param("docs/update.md", set(), id="docs"),
        pytest.param("tests/heavy/passed.json", set(), id="the record"),
        pytest.param("tests/durations.json", set(), id="recorded times"),
        pytest.param("tests/times/recorder.py", set(), id="what measures times"),
        pytest.param("tests/fleet/test_vip.py", set(), id="another test"),
    ],
)
def test_a_change_touches(changed, expected):
    assert touched(changed) == expected


def test_what_a_covered_module_imports_directly_touches_too_and_what_that_imports_does_not():
    assert "bench" in touched("rackwright/lifecycle/client/request.py")
    assert "members" not in touched("rackwright/lifecycle/client/request.py")


def test_what_nearly_everything_imports_is_there():
    assert set(COMMON) <= {*MODULES, *TESTS}


def test_pins_of_wheels_touch_the_files_that_use_vllm():
    assert {"vllm", "vllm_cache", "vllm_states", "members"} <= touched("rackwright/lab/vllm.txt")
    assert "vip" not in touched("rackwright/lab/vllm.txt")

"""What vLLM says of its cache, measured again: tests/fit/vllm_said.py has what it said.

With TEST_VLLM_PYTHON, an interpreter that has vLLM's CPU build, all of it; else one of a kind, by an interpreter that
is made from the lab's wheels.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rackwright.lab import vllm
from tests.fit.tiny import TINY
from tests.fit.vllm_said import SAID, Said

pytestmark = pytest.mark.heavy
GIVEN = os.environ.get("TEST_VLLM_PYTHON")
KINDS = {"llama", "gemma3", "deepseek-v3", "qwen3-next"}
"""Grouped, windows, latent, hybrid: each takes half a minute."""
MEASURED = [said for said in SAID if said.tensor == 1 and (GIVEN or str(said) in KINDS)]
"""Two processors aren't everywhere."""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    if GIVEN:
        return GIVEN
    made = vllm.ensure(print)
    own = tmp_path_factory.mktemp("vllm") / "venv"
    subprocess.run([made.interpreter / "bin" / "python3.11", "-m", "venv", own], check=True)
    install = [own / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile"]
    subprocess.run([*install, *made.wheelhouse.glob("*.whl")], check=True)
    return str(own / "bin" / "python")


def measured(python: str, said: Said) -> dict[str, Any]:
    arguments = {"kv_cache_dtype": said.kv_cache, "enable_prefix_caching": said.prefixes}
    arguments |= {"disable_hybrid_kv_cache_manager": True} if said.full_windows else {}
    script = Path(__file__).with_name("vllm_cache.py")
    ran = subprocess.run(
        [python, script, json.dumps(TINY[said.model]), json.dumps(arguments)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    lines = [line for line in ran.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, ran.stdout[-2000:] + ran.stderr[-2000:]
    found: dict[str, Any] = json.loads(lines[0].removeprefix("RESULT "))
    return found


@pytest.mark.parametrize("said", MEASURED, ids=str)
def test_vllm_still_says_what_it_said(python: str, said: Said, record_property: Any):
    found = measured(python, said)
    record_property(f"vLLM {found['version']}, tokens of {said}", found["tokens"])
    assert (found["tokens"], found["batch"]) == (said.tokens, said.batch)

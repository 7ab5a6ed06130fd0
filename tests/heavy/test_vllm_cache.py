"""vLLM's reports on its cache, measured again; tests/fit/vllm_said.py has the recorded ones.

With TEST_VLLM_PYTHON, an interpreter that has vLLM's CPU build, it measures all; otherwise one of each kind, with the
lab's interpreter.
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
COVERS = (
    "rackwright/fit",
    "rackwright/shape",
    "tests/heavy/vllm_cache.py",
)
GIVEN = os.environ.get("TEST_VLLM_PYTHON")
KINDS = {"llama", "gemma3", "deepseek-v3", "qwen3-next"}
"""One of each kind of cache: grouped, windows, latent, hybrid."""
MEASURED = [said for said in SAID if said.tensor == 1 and (GIVEN or str(said) in KINDS)]
"""Only those for one processor: not every machine has two."""


@pytest.fixture(scope="module")
def python() -> str:
    return GIVEN or str(vllm.ensure(print).python)


@pytest.fixture(scope="module")
def found(python: str) -> dict[str, dict[str, Any]]:
    """Return what vLLM reports for each."""
    asked = json.dumps([[TINY[said.model], arguments(said)] for said in MEASURED])
    script = Path(__file__).with_name("vllm_cache.py")
    ran = subprocess.run([python, script, asked], capture_output=True, text=True, timeout=1800, check=False)
    lines = [line.removeprefix("RESULT ") for line in ran.stdout.splitlines() if line.startswith("RESULT ")]
    assert len(lines) == len(MEASURED), ran.stdout[-2000:] + ran.stderr[-2000:]
    return {str(said): json.loads(line) for said, line in zip(MEASURED, lines, strict=True)}


def arguments(said: Said) -> dict[str, Any]:
    whole = {"disable_hybrid_kv_cache_manager": True} if said.full_windows else {}
    return {"kv_cache_dtype": said.kv_cache, "enable_prefix_caching": said.prefixes, **whole}


@pytest.mark.parametrize("said", MEASURED, ids=str)
def test_vllm_still_says_what_it_said(found: dict[str, dict[str, Any]], said: Said, record_property: Any):
    now = found[str(said)]
    assert "failed" not in now, now["failed"]
    record_property(f"vLLM {now['version']}, tokens of {said}", now["tokens"])
    assert (now["tokens"], now["batch"]) == said.on(amx=now["amx"])

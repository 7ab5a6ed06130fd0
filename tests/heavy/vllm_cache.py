"""Print how many tokens vLLM's cache has for tiny models. Only an interpreter that has vLLM runs this program.

python vllm_cache.py [[CONFIG, ARGUMENTS], …]      JSON; prints a line for each, RESULT and JSON, or why there is none
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

os.environ |= {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_HOST_IP": "127.0.0.1",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
}


def main() -> None:
    # Import it once: that takes longer than a tiny model. Each engine needs its own process.
    import vllm  # type: ignore[import-not-found]  # noqa: F401

    for config, arguments in json.loads(sys.argv[1]):
        if child := os.fork():
            os.waitpid(child, 0)
            continue
        try:
            print("RESULT", json.dumps(measured(config, arguments)), flush=True)
        except BaseException:
            print("RESULT", json.dumps({"failed": traceback.format_exc()}), flush=True)
        finally:
            os._exit(0)


def measured(config: dict[str, Any], arguments: dict[str, Any]) -> dict[str, Any]:
    import torch  # type: ignore[import-not-found]
    import vllm

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(config))
        arguments = {"max_model_len": 8192, "max_num_seqs": 8, **arguments}
        llm = vllm.LLM(model=folder, load_format="dummy", skip_tokenizer_init=True, enforce_eager=True, **arguments)
    found = llm.llm_engine.vllm_config
    return {
        "version": vllm.__version__,
        "amx": torch.cpu._is_amx_tile_supported(),
        "tokens": found.cache_config.kv_cache_size_tokens,
        "batch": found.scheduler_config.max_num_batched_tokens,
    }


if __name__ == "__main__":
    main()

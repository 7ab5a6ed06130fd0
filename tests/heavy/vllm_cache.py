"""Run by an interpreter that has vLLM, and by nothing else: how many tokens its cache has for one tiny model.

python vllm_cache.py CONFIG ARGUMENTS      both JSON; prints one line, RESULT and JSON
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

os.environ |= {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_HOST_IP": "127.0.0.1",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
}


def main() -> None:
    import vllm  # type: ignore[import-not-found]

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(sys.argv[1])
        arguments = {"max_model_len": 8192, "max_num_seqs": 8, **json.loads(sys.argv[2])}
        llm = vllm.LLM(model=folder, load_format="dummy", skip_tokenizer_init=True, enforce_eager=True, **arguments)
    config = llm.llm_engine.vllm_config
    said = {
        "version": vllm.__version__,
        "tokens": config.cache_config.kv_cache_size_tokens,
        "batch": config.scheduler_config.max_num_batched_tokens,
    }
    print("RESULT", json.dumps(said), flush=True)


if __name__ == "__main__":
    main()

"""Writes the lab's model as safetensors, for vLLM. Run by the interpreter of the lab's vLLM, not by ours.

Arguments: the GGUF file, the folder of the same model, the folder of one that is cut evenly by two.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def main(gguf: Path, model: Path, even: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
    loaded = AutoModelForCausalLM.from_pretrained(str(gguf.parent), gguf_file=gguf.name, dtype=torch.bfloat16)
    write(loaded, tokenizer, model)
    torch.manual_seed(0)
    # SmolLM2-135M has nine heads; tensor width 2 needs an even number. What it says is noise.
    shape = LlamaConfig(
        vocab_size=loaded.config.vocab_size,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
        tie_word_embeddings=True,
    )
    write(LlamaForCausalLM(shape).to(torch.bfloat16), tokenizer, even)


def write(model: Any, tokenizer: Any, folder: Path) -> None:
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    tokenizer.save_pretrained(str(folder))
    # Saved by hand: transformers keeps a GGUF's weights packed and refuses to write them.
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items() if name != "lm_head.weight"}
    save_file(weights, str(folder / "model.safetensors"), metadata={"format": "pt"})
    config = model.config.to_dict() | {"architectures": ["LlamaForCausalLM"], "dtype": "bfloat16"}
    for name in ("quantization_config", "_name_or_path", "_model_name_or_path"):
        config.pop(name, None)
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))

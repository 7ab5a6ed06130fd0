"""Writes the lab's model as safetensors, for vLLM. Runs in the interpreter of the lab's vLLM, not in rackwright's.

Arguments: the GGUF file, then the folders to write: the same model, a model that can be split evenly in two, and a
LoRA adapter of the first.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def main(gguf: Path, model: Path, even: Path, adapter: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
    loaded = AutoModelForCausalLM.from_pretrained(str(gguf.parent), gguf_file=gguf.name, dtype=torch.bfloat16)
    write(loaded, tokenizer, model)
    write_adapter(loaded.config, adapter)
    torch.manual_seed(0)
    # SmolLM2-135M has nine heads. A tensor parallel size of 2 needs an even number, and vLLM on a CPU needs heads of
    # 32 or more. The answers of this model are noise.
    shape = LlamaConfig(
        vocab_size=loaded.config.vocab_size,
        hidden_size=256,
        intermediate_size=512,
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
    # Saved without transformers, which keeps a GGUF's weights packed and refuses to write them.
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items() if name != "lm_head.weight"}
    save_file(weights, str(folder / "model.safetensors"), metadata={"format": "pt"})
    config = model.config.to_dict() | {"architectures": ["LlamaForCausalLM"], "dtype": "bfloat16"}
    for name in ("quantization_config", "_name_or_path", "_model_name_or_path"):
        config.pop(name, None)
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True))


def write_adapter(config: Any, folder: Path) -> None:
    """Write a LoRA adapter of random numbers, so large that the model answers noise: tests see that it is used."""
    import torch
    from safetensors.torch import save_file

    rank, width, head = 8, config.hidden_size, config.hidden_size // config.num_attention_heads
    outputs = {"q_proj": config.num_attention_heads * head, "v_proj": config.num_key_value_heads * head}
    numbers = torch.Generator().manual_seed(0)
    weights = {}
    for layer in range(config.num_hidden_layers):
        for name, output in outputs.items():
            place = f"base_model.model.model.layers.{layer}.self_attn.{name}"
            weights[f"{place}.lora_A.weight"] = torch.randn(rank, width, generator=numbers) / 10
            weights[f"{place}.lora_B.weight"] = torch.randn(output, rank, generator=numbers) / 10
    folder.mkdir(parents=True)
    save_file(weights, str(folder / "adapter_model.safetensors"), metadata={"format": "pt"})
    says = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": 16, "bias": "none"}
    says["target_modules"] = sorted(outputs)
    (folder / "adapter_config.json").write_text(json.dumps(says, indent=1, sort_keys=True))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:5]))

"""A build of the lab's model with the same answers, more than twice as slow: its extra layers add nothing."""

from __future__ import annotations

from pathlib import Path

DEPTH = 90
"""Number of layers afterwards; the lab's model has 30."""
_ADD = ("attn_output.weight", "ffn_down.weight")
"""Tensors through which a layer adds to its input: with zeros in them, it adds nothing."""


def deepen(source: Path, made: Path) -> None:
    """Turn a llama-like model into one with DEPTH layers: its own, and copies of its first layer that add nothing."""
    import numpy as np
    from gguf import GGUFReader, GGUFValueType, GGUFWriter

    reader = GGUFReader(source)
    fields = {field.name: field for field in reader.fields.values() if not field.name.startswith("GGUF.")}
    architecture = str(fields.pop("general.architecture").contents())
    count = f"{architecture}.block_count"
    layers = int(fields.pop(count).contents())
    tensors = {tensor.name: (tensor, tensor.data) for tensor in reader.tensors}
    first = {name: found for name, found in tensors.items() if name.startswith("blk.0.")}
    for layer in range(layers, DEPTH):
        for name, (tensor, data) in first.items():
            part = name.removeprefix("blk.0.")
            tensors[f"blk.{layer}.{part}"] = (tensor, np.zeros_like(data) if part in _ADD else data)
    writer = GGUFWriter(made, architecture)
    for name, field in fields.items():
        kind = field.types[0]
        inner = field.types[-1] if kind == GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), kind, inner)
    writer.add_uint32(count, DEPTH)
    for name, (tensor, data) in tensors.items():
        writer.add_tensor_info(name, data.shape, data.dtype, data.nbytes, tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for _, data in tensors.values():
        writer.write_tensor_data(data)
    writer.close()

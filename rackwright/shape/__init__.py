"""The facts that determine a model's memory use, read from its files: sizes of weights, and the cache of each layer.

Pure readers: `config.json` with safetensors headers, or GGUF, from any source that returns bytes by range. An unknown
kind of model gets a shape that says so; nothing is guessed.
"""

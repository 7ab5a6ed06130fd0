"""What decides how much memory a model needs, read from its own files: sizes of weights, and what each layer keeps.

Pure readers: `config.json` with safetensors headers, or GGUF, over anything that gives bytes by range. A kind of
model that isn't known here gets a shape that says so; nothing is guessed.
"""

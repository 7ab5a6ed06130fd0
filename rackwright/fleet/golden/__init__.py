"""The golden set: an operator's own prompts, and their file."""

"""The golden set: an operator's own prompts, and the file that they stand in."""

"""Turns bare GPU machines into a private LLM service over plain SSH, and looks after it for life."""

__version__ = "0.1.0"

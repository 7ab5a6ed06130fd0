"""Turn bare GPU machines into a private LLM service over plain SSH, and maintain it over its whole life."""

__version__ = "0.1.0"

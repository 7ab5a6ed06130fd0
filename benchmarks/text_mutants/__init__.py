"""Mutants of text that tools for Python can't mutate: templates, shell scripts, and text in Python strings."""

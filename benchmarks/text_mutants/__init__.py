"""Mutants of what Python's tools can't mutate: templates, shell scripts, and the Python that writes such text."""

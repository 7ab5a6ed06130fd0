"""Longer output of commands: text, tables, HTML pages, plots."""

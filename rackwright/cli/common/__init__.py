"""Shared by all commands: options, context, questions, outcome."""

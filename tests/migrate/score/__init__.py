"""Scores of a migration."""

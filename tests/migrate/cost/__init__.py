"""Costs of a migration."""

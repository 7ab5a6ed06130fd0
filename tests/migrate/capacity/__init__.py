"""Capacity of a migration."""

"""Resolve a fleet file to its lock. The controller downloads only here."""

"""Scratch hosts: proof that they are not production, isolation, and the wipe at the end."""

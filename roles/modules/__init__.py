"""Kernel modules that a serving host doesn't need, never loaded."""

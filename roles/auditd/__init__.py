"""The kernel's audit log of changes to security-relevant files."""

"""The tool on a control host: what the role does, and what its scripts do."""

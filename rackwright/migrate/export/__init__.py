"""The export of what is stored at a provider: its list, its encrypted files, and their verification. Pure."""

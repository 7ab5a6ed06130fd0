"""The fleet file, its lock and its keys: what exists and what should run. Nothing here connects to a host."""

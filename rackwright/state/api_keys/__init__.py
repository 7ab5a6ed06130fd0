"""API keys that outlive a command: those that were sent since the last apply, and how their copies merge."""

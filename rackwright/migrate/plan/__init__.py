"""The migration plan: what an operator intends, and which measurements decide it. One module per group of keys."""

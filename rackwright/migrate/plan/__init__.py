"""The migration plan: what an operator intends, and by which figures they decide. One module per group of keys."""

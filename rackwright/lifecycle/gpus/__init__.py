"""Which GPUs each engine uses, should use and waits for."""

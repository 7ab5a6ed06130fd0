"""Which GPUs each engine has, should have and waits for."""

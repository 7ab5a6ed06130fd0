"""vLLM as a runtime: its version, its wheels, and the command line of one replica."""

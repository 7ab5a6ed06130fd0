"""llama.cpp as a runtime: its version, its build, and the command line of one replica."""

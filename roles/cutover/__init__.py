"""The way back of a cutover, on each gateway: a script, and a panic file that runs it."""

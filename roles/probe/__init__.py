"""One replica's probe: checks the engine at its socket, writes the replica's state, restarts a hung engine once."""

"""One replica's probe: reads at the socket whether the engine works, writes the state, restarts a hung one once."""

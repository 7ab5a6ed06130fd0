"""One engine process: what it runs, as whom, where its socket stands."""

"""One engine process: its command, its user, its socket."""

"""One host's backups: restic, its timers, and what they last did written down on the host."""

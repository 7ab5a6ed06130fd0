"""One host's backups: restic, its timers, and a record on the host of what they last did."""

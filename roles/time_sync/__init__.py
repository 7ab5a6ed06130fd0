"""A correct clock, which certificates, logs and leases need."""

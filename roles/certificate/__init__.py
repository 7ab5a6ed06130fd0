"""A certificate of the fleet's own authority, with its key, on one host."""

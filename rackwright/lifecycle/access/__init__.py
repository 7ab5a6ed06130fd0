"""`rackwright access`: who can log in to the hosts."""

"""`rackwright access`: who gets in to the hosts."""

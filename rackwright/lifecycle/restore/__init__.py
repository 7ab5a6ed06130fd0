"""`rackwright restore`: bring a host's state and weights back from a snapshot."""

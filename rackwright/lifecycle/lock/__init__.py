"""`rackwright lock`: what hosts and servers answer, written down."""

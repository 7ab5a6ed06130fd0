"""The settings of every role on one host, derived from the fleet; one module per area."""

"""A simulated fleet: hosts, engines, gateways, control host and time. The tool's own procedures run against it."""

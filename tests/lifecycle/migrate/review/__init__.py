"""A review of a migration whose gateways are stand-ins."""

"""The procedures of a migration from a cloud endpoint to the fleet."""

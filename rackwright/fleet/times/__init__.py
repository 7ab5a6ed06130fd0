"""When things are due, by the clock of the fleet's time zone."""

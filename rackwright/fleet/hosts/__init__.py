"""What follows from the fleet for one host: the settings of every role on it, each area in a module of its name."""

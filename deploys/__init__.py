"""What happens to a host, in order. A deploy reads this host's model once and calls roles by keyword."""

"""The order in which roles run on a host. A deploy reads the host's spec once and calls roles by keyword."""

"""What requests use of an API, what a target does with it, and what has to change. Pure."""

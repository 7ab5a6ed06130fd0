"""`rackwright check`: everything that could stop an apply, on the controller and on each host."""

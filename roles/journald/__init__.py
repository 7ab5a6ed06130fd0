"""How much the journal keeps, and for how long."""

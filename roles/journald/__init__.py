"""How much the journal keeps, how long, and where it forwards lines."""

"""`migrate score`: read what was replayed, ask what else is needed, and store the result."""

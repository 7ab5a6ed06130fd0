"""Small value types that several layers share, one module per topic."""

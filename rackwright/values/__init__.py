"""Small values that several layers share, by topic."""

"""A migration as text, JSON and one HTML page."""

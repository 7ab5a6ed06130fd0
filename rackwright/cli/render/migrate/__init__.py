"""The results of a migration as text and as sections of its report."""

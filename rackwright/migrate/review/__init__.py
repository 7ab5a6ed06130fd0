"""What a migration promised against what is measured now. Pure."""

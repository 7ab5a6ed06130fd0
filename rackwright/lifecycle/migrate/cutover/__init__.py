"""`migrate cutover`: the fleet's share of new conversations grows step by step, and can always go back."""

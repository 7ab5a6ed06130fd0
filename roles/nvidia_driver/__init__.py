"""Driver and kernel as one set: built before anything boots, held, persistent, its fabric complete before engines."""

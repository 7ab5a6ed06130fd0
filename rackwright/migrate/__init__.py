"""What a migration knows without asking anyone: its plan, recorded requests, their features, scores, costs. Pure."""

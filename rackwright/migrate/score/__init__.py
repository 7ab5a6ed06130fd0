"""Whether the fleet answers recorded requests as well as the cloud: PASS, FAIL or INCONCLUSIVE by segment. Pure."""

"""`migrate replay`: ask both sides recorded requests again, through the gateways and within the budget."""

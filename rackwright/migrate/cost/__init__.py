"""What the provider charges, what the fleet costs, and from which month on the fleet is cheaper. Pure."""

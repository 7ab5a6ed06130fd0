"""What we have and what should run: the fleet file, its lock, its keys. Knows no host and no network of its own."""

"""The ledger of a gateway: what it accepted, and what became of it, by key, side and hour."""

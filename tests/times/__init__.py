"""Where the tests' time goes: what records it, what reads it from junit files, and the order that follows from it."""

"""Where the tests' time goes: recording it, reading it from junit files, and the order of tests derived from it."""

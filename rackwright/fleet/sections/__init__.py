"""The sections of the fleet file as people write them, each in a module of its name. Doesn't import the fleet."""

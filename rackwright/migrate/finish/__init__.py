"""The end of a migration: what is deleted at the provider, in which order, and what was done. Pure."""

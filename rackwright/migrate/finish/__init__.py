"""The end of a migration: what is deleted at the provider and in which order, what was done, and the certificate.
Pure."""

"""A clock that is right: certificates, logs and leases need it."""
